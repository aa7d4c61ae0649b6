/**
 * Control groups, version 2, used for two things: as the scope that the agents' eBPF programs attach to, and as a certain
 * way to know and to end every process of a pod, a node or a mesh. We need no controllers, so it works on hosts where
 * cgroup2 is mounted beside version 1, too; what kubelets make in the hierarchies of version 1 is removed with the rest.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitUntil } from './wait.ts';

/** The mount point of cgroup2, from the text of /proc/self/mountinfo. */
export function cgroup2MountIn(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    if (after.startsWith('cgroup2 ')) return before.split(' ')[4]?.replaceAll('\\040', ' ');
  }
  return undefined;
}

export interface CgroupHierarchy {
  readonly mount: string;
  readonly version: 1 | 2;
}

/** Every hierarchy that is mounted, in the order of the mounts; of one that is mounted twice, the first. */
export function cgroupHierarchiesIn(mountinfo: string): readonly CgroupHierarchy[] {
  const found = new Map<string, CgroupHierarchy>();
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device = '', root, mount = ''] = before.split(' ');
    const version = after.startsWith('cgroup2 ') ? 2 : after.startsWith('cgroup ') ? 1 : undefined;
    if (version !== undefined && root === '/' && !found.has(device)) found.set(device, { mount, version });
  }
  return [...found.values()];
}

export async function cgroupHierarchies(): Promise<readonly CgroupHierarchy[]> {
  return cgroupHierarchiesIn(await readFile('/proc/self/mountinfo', 'utf8'));
}

export async function cgroup2Mount(): Promise<string> {
  const mount = cgroup2MountIn(await readFile('/proc/self/mountinfo', 'utf8'));
  if (mount !== undefined) return mount;
  throw new Error('Cannot find control groups: expected a cgroup2 mount in /proc/self/mountinfo: there is none');
}

export async function createCgroup(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  return path;
}

/** Ids of all processes in the group and below. Empty when there is no such group. */
export async function cgroupProcesses(path: string): Promise<readonly number[]> {
  const own = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '');
  const below = await Promise.all((await childrenOf(path)).map((child) => cgroupProcesses(child)));
  return [...own.split('\n').filter(Boolean).map(Number), ...below.flat()];
}

/**
 * SIGKILL to everything in the group and below, again and again until it is empty: a program that was just started joins
 * its group by itself, and may do so after the first time.
 */
export async function killCgroup(path: string): Promise<void> {
  const isEmpty = async (): Promise<boolean> => {
    if (!existsSync(path)) return true;
    await writeFile(join(path, 'cgroup.kill'), '1');
    return !(await isPopulated(path));
  };
  await waitUntil(`processes in ${path} to end`, isEmpty, { everyMs: 5 });
}

/** Kills what runs in it and removes it with everything below. */
export async function removeCgroup(path: string): Promise<void> {
  await killCgroup(path);
  await removeEmpty(path);
}

/** As `removeCgroup`, of a group at the root of all hierarchies: whoever is in one of version 1 is in version 2, too. */
export async function removeCgroupEverywhere(name: string): Promise<void> {
  await removeCgroup(join(await cgroup2Mount(), name));
  for (const { mount, version } of await cgroupHierarchies()) {
    const gone = () => removeEmpty(join(mount, name)).then(() => true); // Who has just ended may hold it for a moment.
    if (version === 1) await waitUntil(`control group ${name} in ${mount} to go`, gone);
  }
}

async function removeEmpty(path: string): Promise<void> {
  await Promise.all((await childrenOf(path)).map((child) => removeEmpty(child)));
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw new Error(`Cannot remove cgroup ${path}: ${error.message}`, { cause: error });
  });
}

async function isPopulated(path: string): Promise<boolean> {
  const events = await readFile(join(path, 'cgroup.events'), 'utf8').catch(() => '');
  return events.includes('populated 1');
}

async function childrenOf(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
}
