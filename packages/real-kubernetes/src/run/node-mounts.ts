/** The mount namespace of a node, kept by a file so that several programs can be put into it. */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { command, tryCommand } from '@tombolo/machine/command.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';

/** What kubelet would set for the whole machine, if it did not find it so. */
const DEMANDED = {
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
} as const;

/** What containerd, its shims, the network plugins and kubelet write outside of the directories that they are told. */
const OWN = ['/run/tombolo', '/run/containerd', '/var/lib/kubelet', '/var/lib/cni', '/var/log/containers'];

const OWN_ROOT = fileURLToPath(import.meta.resolve('@tombolo/machine/own-root.sh'));

/** Where a pod that mounts the control groups of its node finds them, whatever the machine's are like. */
export const NODE_CGROUP = '/run/node-cgroup';

export async function createNodeMounts({ directory, cgroup }: NodePlan, file: string): Promise<void> {
  await writeFile(file, '');
  const shown = `${directory}/demanded`;
  const script = [
    'mount --make-rshared /',
    'mount -t bpf bpf /sys/fs/bpf',
    `mkdir -p ${[...OWN, NODE_CGROUP].join(' ')}`,
    ...OWN.map((path) => `mount -t tmpfs node ${path}`),
    `mount --bind ${cgroup} ${NODE_CGROUP}`,
    `mkdir -p ${shown}`,
    ...Object.entries(DEMANDED).flatMap(([path, value]) => {
      const stand = `${shown}/${path.replaceAll('/', '.')}`;
      return [`echo ${value} >${stand}`, `mount --bind ${stand} /proc/sys/${path}`];
    }),
  ];
  await keepNewNamespace(file);
  await command(['sh', '-ec', script.join('\n')], { mounts: file });
}

/** Only one that is younger than our own can be kept, and Linux 6.18 takes each CPU's newest for older than another CPU's. */
async function keepNewNamespace(file: string): Promise<void> {
  const make = ['unshare', `--mount=${file}`, '--propagation', 'private', OWN_ROOT];
  for (const cpu of cpus().keys()) {
    if ((await tryCommand(['taskset', '--cpu-list', `${cpu}`, ...make])).code === 0) return;
  }
  await command(make);
}
