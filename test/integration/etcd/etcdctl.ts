/** etcd's own client, as the outsider whose word counts in tests. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { EtcdServer } from './etcd-server.ts';

const run = promisify(execFile);

export async function etcdctl(server: EtcdServer, ...words: readonly string[]): Promise<string> {
  const { stdout } = await run('/usr/bin/etcdctl', [`--endpoints=${server.endpoint}`, ...words], {
    env: { ...process.env, ETCDCTL_API: '3' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** Keys and values under a prefix, as etcd has them. Values must be free of line breaks. */
export async function dump(server: EtcdServer, prefix: string): Promise<Map<string, string>> {
  const lines = (await etcdctl(server, 'get', '--prefix', prefix)).split('\n');
  const entries = new Map<string, string>();
  for (let i = 0; i + 1 < lines.length; i += 2) entries.set(lines[i] ?? '', lines[i + 1] ?? '');
  return entries;
}

export async function revisionOf(server: EtcdServer): Promise<number> {
  return JSON.parse(await etcdctl(server, 'get', 'no-such-key', '-w', 'json')).header.revision;
}
