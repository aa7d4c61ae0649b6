/**
 * `scripts/bench bulk` and `update`: what it takes to tell the kernel of very many Services, and of one change among them.
 * Nobody connects; the process that measures is the one that programs, as an agent's is.
 */

import { closeSync } from 'node:fs';
import { command } from '@tombolo/machine/command.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { createMap, MAP_TYPES, updateBatch } from '@tombolo/node-agent/datapath/ebpf/bpf-calls.ts';
import { TABLE_NAMES, TABLES } from '@tombolo/node-agent/datapath/ebpf/layout.ts';
import { openEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { partsOf } from '@tombolo/node-agent/datapath/ebpf/parts.ts';
import { openNftablesDatapath } from '@tombolo/node-agent/datapath/nftables/open.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { listServices, routesOf } from './connect-cases.ts';
import { ConnectLab, POD_CIDR, SERVER_PORT } from './connect-lab.ts';
import { enterNetns } from './enter-netns.ts';
import { kubeProxyRules } from './kube-proxy-rules.ts';
import { type Bench, type BenchResult, chosen, type Pair, summarise } from './results.ts';

type Kind = 'ebpf' | 'nftables';

const SERVICES = 10_000;
const BACKENDS = 10;
const DEFAULT_RUNS = 5;
/** In one measurement of `update`. */
const CHANGES = 200;

function openKind(kind: Kind, lab: ConnectLab): Promise<Datapath> {
  if (kind === 'ebpf') return openEbpfDatapath({ pinDir: lab.pinDir, cgroupRoot: lab.cgroup, log: silentLogger });
  return enterNetns(lab.netns('tables', 'node'), async () => {
    const opened = await openNftablesDatapath({ table: 'tombolo', log: silentLogger });
    if (!opened.ok) throw new Error(`Cannot open the nftables datapath: ${opened.error}`);
    return opened.value;
  });
}

async function give(datapath: Datapath, routes: Routes): Promise<void> {
  const { failures } = await datapath.replace(routes);
  if (failures[0]) throw new Error(`Cannot program ${failures.length} frontends: ${failures[0].reason}`);
}

export const bulk: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const all = ['ebpf', 'nftables'] as const;
  const routes = routesOf(listServices(SERVICES, SERVER_PORT, BACKENDS));
  const results: BenchResult[] = [];
  const notes = [`${SERVICES} Services with ${BACKENDS} backends each, from nothing; medians of ${runs} runs`];
  const lab = await ConnectLab.build({ signal });
  try {
    for (const kind of chosen(cases, all)) {
      const pairs: Pair[] = [];
      let block = 0;
      for (let run = 0; run < runs; run += 1) {
        signal.throwIfAborted();
        const datapath = await openKind(kind, lab);
        const watch = watchLoop();
        const begun = performance.now();
        await give(datapath, routes);
        const value = performance.now() - begun;
        block = Math.max(block, watch.stop());
        const baseline = kind === 'ebpf' ? bareMaps() : await nftAlone(lab, () => datapath.destroy());
        if (kind === 'ebpf') await datapath.destroy();
        pairs.push({ value, baseline });
      }
      const result = summarise(kind, 'ms', 'lower', pairs);
      results.push(result);
      progress(`${kind}: ${result.value} ms; the event loop stood still for ${block.toFixed(0)} ms at the most`);
      notes.push(`${kind}: the event loop stood still for ${block.toFixed(0)} ms at the most`);
    }
  } finally {
    await lab.end();
  }
  notes.push(
    'baseline: ebpf: as many entries, ready to be written, into maps of the same kinds; nftables: nft -f of what was written',
  );
  return { bench: 'bulk', results, skipped: [], notes };
};

export const update: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const all = [
    ...['ebpf/10000', 'ebpf/50000', 'nftables/10000', 'nftables/50000', 'nftables/10000+kube-proxy'],
  ] as const;
  const results: BenchResult[] = [];
  const lab = await ConnectLab.build({ signal });
  try {
    for (const one of chosen(cases, all)) {
      const [kind, size = ''] = one.split('/') as [Kind, string];
      const [services, neighbour] = size.split('+');
      if (neighbour !== undefined) await restoreIptables(lab, kubeProxyRules(listServices(SERVICES), POD_CIDR));
      const pairs: Pair[] = [];
      for (let run = 0; run < runs; run += 1) {
        signal.throwIfAborted();
        const baseline = await costOfChange(kind, lab, 1);
        pairs.push({ baseline, value: await costOfChange(kind, lab, Number(services)) });
      }
      if (neighbour !== undefined) await restoreIptables(lab, ['*nat', 'COMMIT', '*filter', 'COMMIT', ''].join('\n'));
      const result = summarise(one, 'ms', 'lower', pairs);
      results.push(result);
      progress(`${one}: ${result.value} ms of CPU a change, ${result.baseline} beside no other Service`);
    }
  } finally {
    await lab.end();
  }
  const notes = [
    `CPU time of this process and its threads for one change of one Service of three backends, of ${CHANGES} one after another; medians of ${runs} runs`,
    'baseline: the same where that Service is the only one (with kube-proxy’s rules, where it says so)',
  ];
  return { bench: 'update', results, skipped: [], notes };
};

/** Ms of CPU. */
async function costOfChange(kind: Kind, lab: ConnectLab, services: number): Promise<number> {
  const datapath = await openKind(kind, lab);
  try {
    const routes = routesOf(listServices(services));
    await give(datapath, routes);
    const [, route] = [...routes][services >> 1] ?? [];
    if (route === undefined) throw new Error('Cannot change a Service: there is none');
    const fewer = { ...route, backends: route.backends.slice(1) };
    const before = process.cpuUsage();
    for (let i = 0; i < CHANGES; i += 1) {
      await datapath.apply(new Map([[frontendId(route.frontend), i % 2 === 0 ? fewer : route]]));
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / CHANGES;
  } finally {
    await datapath.destroy();
  }
}

async function restoreIptables(lab: ConnectLab, input: string): Promise<void> {
  await command(['iptables-restore', '-w', '60'], { netns: lab.netns('tables', 'node'), input });
}

/** Ms that the kernel takes for as many entries. */
function bareMaps(): number {
  const entries = {
    services: SERVICES,
    slots: SERVICES * partsOf(BACKENDS),
    backends: SERVICES * BACKENDS,
    affinity_ok: 0,
  };
  let spent = 0;
  for (const name of TABLE_NAMES.filter((each) => entries[each] > 0)) {
    const { keySize, valueSize } = TABLES[name];
    const count = entries[name];
    const type = name === 'backends' ? MAP_TYPES.array : MAP_TYPES.hash;
    const map = createMap({ type, keySize, valueSize, maxEntries: count });
    const keys = Buffer.alloc(count * keySize);
    for (let i = 0; i < count; i += 1) keys.writeUInt32LE(i, i * keySize);
    const begun = performance.now();
    updateBatch(map, keys, Buffer.alloc(count * valueSize), count);
    spent += performance.now() - begun;
    closeSync(map);
  }
  return spent;
}

/** Ms that nft takes to load what is there, once `remove` has taken it away. */
async function nftAlone(lab: ConnectLab, remove: () => Promise<void>): Promise<number> {
  const netns = lab.netns('tables', 'node');
  const input = await command(['nft', 'list', 'ruleset'], { netns });
  await remove();
  const begun = performance.now();
  await command(['nft', '-f', '-'], { netns, input });
  const spent = performance.now() - begun;
  await command(['nft', 'flush', 'ruleset'], { netns });
  return spent;
}

/** The longest time in which the event loop did nothing else. */
function watchLoop(): { stop(): number } {
  let last = performance.now();
  let longest = 0;
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  return {
    stop: () => {
      look();
      clearInterval(timer);
      return longest;
    },
  };
}
