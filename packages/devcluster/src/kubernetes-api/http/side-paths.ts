/** Answers that do not depend on any stored object: the version, and reviews of access, which this server never denies. */
import type { IncomingMessage } from 'node:http';
import { isJsonObject, type JsonObject } from '../objects.ts';
import { readObject } from './request.ts';

/** A version that both an old and a current kubectl accept as near enough. */
export const versionInfo: JsonObject = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-tombolo-dev',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: 'linux/amd64',
};

export async function reviewAccess(request: IncomingMessage): Promise<JsonObject> {
  const review = await readObject(request);
  return {
    ...(isJsonObject(review) ? review : {}),
    status: { allowed: true, reason: 'this server does not check access' },
  };
}
