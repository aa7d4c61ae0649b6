/**
 * Takes everything of a mesh off the machine, found by name: processes through their control group, then mounts, files,
 * namespaces. Used at the end of a run, and at the start of one for what a killed run left behind.
 */
import { readFile, rm } from 'node:fs/promises';
import { removeCgroupEverywhere } from './cgroup.ts';
import { command } from './command.ts';
import { type MeshPlaces, meshPlaces } from './names.ts';
import { listNetns, removeNetns } from './netns.ts';
import { isAlive, knownMeshes, readState, removeState } from './owner.ts';

/** Safe to repeat. Goes on past failures and reports them together. */
export async function removeMesh(places: MeshPlaces): Promise<void> {
  const failures: unknown[] = [];
  const steps = [
    () => removeCgroupEverywhere(places.cgroupName),
    () => unmountBelow(places.directory),
    () => rm(places.directory, { recursive: true, force: true }),
    async () => removeNetns(await listNetns(places.netnsPrefix)),
  ];
  for (const step of steps) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) {
    const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    throw new AggregateError(failures, `Cannot remove all of mesh '${places.name}': ${reasons.join('; ')}`);
  }
  await removeState(places);
}

/** Removes the meshes whose owner has died. Kept ones have no owner and stay. Returns the names. */
export async function sweepAbandoned(): Promise<readonly string[]> {
  const swept: string[] = [];
  for (const name of await knownMeshes()) {
    const places = meshPlaces(name);
    const state = await readState(places);
    if (state?.owner === undefined || (await isAlive(state.owner))) continue;
    await removeMesh(places);
    swept.push(name);
  }
  return swept;
}

/** Deepest first. */
export function mountsBelow(directory: string, mountinfo: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mount) => mount === directory || mount.startsWith(`${directory}/`))
    .reverse();
}

/** A file system that is mounted there cannot be removed with the directory. */
export async function unmountBelow(directory: string): Promise<void> {
  for (const mount of mountsBelow(directory, await readFile('/proc/self/mountinfo', 'utf8')))
    await command(['umount', mount]);
}
