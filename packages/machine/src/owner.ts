/**
 * Who runs a mesh: one process, known by its id and the moment it started (ids are used again), written to the mesh's
 * state file. A mesh that is kept has no owner; it lives until it is taken down by name.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type MeshName, type MeshPlaces, meshName, RUN_ROOT } from './names.ts';

export interface MeshState {
  readonly owner: { readonly pid: number; readonly startTime: string } | undefined;
  /** What whoever attaches to a kept mesh needs to know. */
  readonly plan: unknown;
}

/** Field 22 of /proc/PID/stat; undefined when there is no such process. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

export async function isAlive(owner: MeshState['owner']): Promise<boolean> {
  return owner !== undefined && (await startTimeOf(owner.pid)) === owner.startTime;
}

export async function thisProcess(): Promise<MeshState['owner']> {
  return { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? '' };
}

export async function writeState({ stateFile }: MeshPlaces, state: MeshState): Promise<void> {
  await mkdir(RUN_ROOT, { recursive: true });
  await writeFile(stateFile, `${JSON.stringify({ ...state, owner: state.owner ?? null }, undefined, 2)}\n`);
}

/** Undefined when there is none, or none that can be read. */
export async function readState({ stateFile }: MeshPlaces): Promise<MeshState | undefined> {
  try {
    const { owner, plan } = JSON.parse(await readFile(stateFile, 'utf8'));
    return { owner: owner ?? undefined, plan };
  } catch {
    return undefined;
  }
}

export async function removeState({ stateFile }: MeshPlaces): Promise<void> {
  await rm(stateFile, { force: true });
}

/** Every mesh that has a state file. */
export async function knownMeshes(): Promise<readonly MeshName[]> {
  const files = await readdir(RUN_ROOT).catch(() => []);
  return files.filter((file) => /^[a-z0-9]{1,16}\.json$/.test(file)).map((file) => meshName(file.slice(0, -5)));
}
