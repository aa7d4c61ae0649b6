/**
 * Network namespaces by name, and `ip` in them. Links are created inside the namespaces that they join: nothing of ours
 * ever appears in the machine's own namespace.
 */
import { readdir } from 'node:fs/promises';
import { command, tryCommand } from './command.ts';

/** Lines as after `ip`, all in one run; the first that fails ends it. Rules need a family, all else has it in its address. */
export async function ip(netns: string | undefined, lines: readonly string[], family?: '-4' | '-6'): Promise<void> {
  if (lines.length === 0) return;
  const scope = netns === undefined ? [] : ['-n', netns];
  await command(['ip', ...(family ? [family] : []), ...scope, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export async function createNetns(names: readonly string[]): Promise<void> {
  await ip(
    undefined,
    names.map((name) => `netns add ${name}`),
  );
}

export async function listNetns(prefix: string): Promise<readonly string[]> {
  const names = await readdir('/run/netns').catch(() => []);
  return names.filter((name) => name.startsWith(prefix));
}

/** Their links go with them, and the far ends of their veth pairs too. Names that do not exist are passed over. */
export async function removeNetns(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => tryCommand(['ip', 'netns', 'del', name])));
}

/** Kernel settings of one namespace: `{ 'net/ipv4/ip_forward': 1 }`. */
export async function setSysctls(netns: string, settings: Readonly<Record<string, number>>): Promise<void> {
  const script = Object.entries(settings).map(([path, value]) => `echo ${value} >/proc/sys/${path}`);
  await command(['/bin/sh', '-e', '-c', script.join('\n')], { netns });
}
