/** What is on this machine of a mesh on the real Kubernetes, wherever its programs leave something. For those who sweep. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cgroupHierarchies } from '@tombolo/machine/cgroup.ts';
import type { MeshPlaces } from '@tombolo/machine/names.ts';
import { listNetns } from '@tombolo/machine/netns.ts';

/** Where containerd, its shims and the network plugins keep what is theirs, unless the node has such places of its own. */
const SHARED = ['/run/containerd', '/var/lib/cni', '/var/log/containers', '/run/nri'];

/** Processes, groups in every hierarchy, mounts, namespaces, files; in words. */
export async function leftoversOf(places: MeshPlaces): Promise<readonly string[]> {
  const { cgroupName, directory, stateFile, netnsPrefix } = places;
  const groups = (await cgroupHierarchies()).map(({ mount }) => join(mount, cgroupName));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(`${directory}/`) || line.includes(`${directory} `));
  return [
    ...(await processesOf(places)),
    ...(await listNetns(netnsPrefix)),
    ...[...groups, directory, stateFile].filter((path) => existsSync(path)),
    ...mounts,
  ];
}

/** By their groups, their arguments, or a mount namespace that holds something: they may have left one of these behind. */
async function processesOf({ cgroupName, directory, netnsPrefix }: MeshPlaces): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const read = (id: string, file: string) => readFile(`/proc/${id}/${file}`, 'utf8').catch(() => '');
  const own = await readlink('/proc/self/ns/mnt');
  const described = await Promise.all(
    ids.map(async (id) => {
      if (/^State:\tZ/m.test(await read(id, 'status'))) return [];
      const [groups, argv] = await Promise.all([read(id, 'cgroup'), read(id, 'cmdline')]);
      const elsewhere = (await readlink(`/proc/${id}/ns/mnt`).catch(() => own)) !== own;
      const mounts = elsewhere ? await read(id, 'mountinfo') : '';
      const names = [`/${cgroupName}/`, `${directory}/`, `/netns/${netnsPrefix}`];
      const ours = names.some((name) => [groups, argv, mounts].join('\n').includes(name));
      return ours ? [`process ${id}: ${argv.replaceAll('\0', ' ')}`] : [];
    }),
  );
  return described.flat();
}

/** The containers of a node that have a group, by their ids. */
export async function containersIn(cgroup: string): Promise<readonly string[]> {
  const below = await readdir(cgroup, { recursive: true }).catch(() => []);
  return below.map((path) => basename(path)).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

/** The name of a shim's socket: containerd makes it of its own socket, the namespace and the sandbox. */
export function shimSocket(containerdSocket: string, sandbox: string): string {
  const hash = createHash('sha256')
    .update(join(containerdSocket, 'k8s.io', sandbox))
    .digest('hex');
  return `/run/containerd/s/${hash}`;
}

/** What the machine has of these containers in places that all containerds share. */
export async function sharedPlacesOf(
  containers: readonly string[],
  containerdSocket: string,
): Promise<readonly string[]> {
  const names = await Promise.all(
    SHARED.map(async (root) =>
      (await readdir(root, { recursive: true }).catch(() => [])).map((path) => join(root, path)),
    ),
  );
  const sockets = containers.map((container) => shimSocket(containerdSocket, container));
  return names.flat().filter((path) => sockets.includes(path) || containers.some((id) => path.includes(id)));
}
