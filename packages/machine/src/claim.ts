/** The beginning of a run: what dead runs left is swept, and the places of one name are ours, empty and in memory. */
import { mkdir } from 'node:fs/promises';
import { command } from './command.ts';
import type { MeshPlaces } from './names.ts';
import { isAlive, readState, thisProcess, writeState } from './owner.ts';
import { removeMesh, sweepAbandoned } from './sweep.ts';

/** `plan`: what those who attach later need to know. */
export async function claimPlaces(places: MeshPlaces, plan: unknown): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error(`Cannot start mesh '${places.name}': it takes root to make network namespaces`);
  await sweepAbandoned();
  const before = await readState(places);
  if (await isAlive(before?.owner))
    throw new Error(`Cannot start mesh '${places.name}': process ${before?.owner?.pid} runs one of that name`);
  await removeMesh(places);
  await writeState(places, { owner: await thisProcess(), plan });
}

/** Everything is in memory (etcd's syncs cost nothing there), and one unmount ends it all. */
export async function mountPlaces({ directory }: { readonly directory: string }): Promise<void> {
  await mkdir(directory, { recursive: true });
  await command(['mount', '-t', 'tmpfs', '-o', 'mode=755', '--make-private', 'tombolo-dev', directory]);
}
