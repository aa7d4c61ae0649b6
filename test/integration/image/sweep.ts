/** Removes what runs of these tests left that were killed: their containers, their folders and their control groups. */
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgroup2Mount, removeCgroup } from '@tombolo/machine/cgroup.ts';
import { startTimeOf } from '@tombolo/machine/owner.ts';
import { removeContainers } from './container.ts';
import { ROOM } from './image.ts';

export async function sweepAbandoned(): Promise<void> {
  const cgroups = await cgroup2Mount();
  for (const name of await abandonedIn(tmpdir())) {
    await removeContainers(join(tmpdir(), name));
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
  for (const name of await abandonedIn(cgroups)) await removeCgroup(join(cgroups, name));
}

/** Names of ours whose process is gone. */
async function abandonedIn(folder: string): Promise<readonly string[]> {
  const ours = (await readdir(folder)).filter((name) => name.startsWith(ROOM));
  const gone = await Promise.all(
    ours.map(async (name) => (await startTimeOf(Number.parseInt(name.slice(ROOM.length), 10))) === undefined),
  );
  return ours.filter((_, index) => gone[index]);
}
