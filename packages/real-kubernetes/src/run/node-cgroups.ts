/**
 * The control groups of a node: one of the same path in every hierarchy that is mounted. On a host with version 1 beside
 * version 2, kubelet and runc use all of them; on one with version 2 alone, its controllers must be handed down.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cgroup2Mount, cgroupHierarchies } from '@tombolo/machine/cgroup.ts';

/** From the root of a hierarchy: what kubelet calls `cgroupRoot`. */
export async function cgroupPathOf(cgroup2Path: string): Promise<string> {
  return cgroup2Path.slice((await cgroup2Mount()).length);
}

export async function createNodeCgroups(cgroup2Path: string): Promise<void> {
  const path = await cgroupPathOf(cgroup2Path);
  for (const { mount, version } of await cgroupHierarchies()) {
    await mkdir(`${mount}${path}`, { recursive: true });
    if (version === 2) await handDownControllers(mount, path);
  }
}

/** Without this a group of version 2 has no controllers. There are none to hand down where version 1 has them. */
export async function handDownControllers(mount: string, path: string): Promise<void> {
  const available = (await readFile(`${mount}/cgroup.controllers`, 'utf8')).split(/\s+/).filter(Boolean);
  if (available.length === 0) return;
  const wanted = available.map((controller) => `+${controller}`).join(' ');
  const steps = path.split('/').slice(1);
  for (let depth = 0; depth <= steps.length; depth++)
    await writeFile(`${[mount, ...steps.slice(0, depth)].join('/')}/cgroup.subtree_control`, wanted);
}
