/** Who enters the mount namespace of a node finds the root of the process that made it, wherever that was. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '@tombolo/machine/command.ts';

const OWN_ROOT = fileURLToPath(import.meta.resolve('@tombolo/machine/own-root.sh'));
/** A process with a file system of its own over $1 asks who enters its namespace what is there. */
const ASK = `mount -t tmpfs ours "$1" && touch "$1/ours" && ${OWN_ROOT} && nsenter --mount=/proc/$$/ns/mnt ls "$1"`;

describe('lab, the root of a mount namespace', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-root-'));
  });

  afterEach(() => rm(directory, { recursive: true }));

  const places: Record<string, string> = {
    'the machine’s own root': '',
    'a root over which another lies': 'mount --rbind / /',
    'a root over which several lie': 'mount --rbind / / && mount -t tmpfs another /..',
    'a root that was changed': 'mkdir "$1/new" && mount --rbind / "$1/new" && chroot="chroot $1/new"',
  };
  for (const [place, prepare] of Object.entries(places)) {
    it(`is that of who is in it: ${place}`, async () => {
      const script = `chroot=\n${prepare}\nexec $chroot sh -euc '${ASK}' sh "$1"`;
      const said = await command([
        ...['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', script, 'sh', directory],
      ]);
      assert.equal(said.trim(), 'ours');
    });
  }
});
