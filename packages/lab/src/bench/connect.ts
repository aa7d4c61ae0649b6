/**
 * `scripts/bench connect` and `throughput`: connections or megabytes per second through a Service, against straight to a
 * backend. The datapaths are the real ones; iptables has kube-proxy's rules.
 */

import { command } from '@tombolo/machine/command.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { openEbpfDatapath, openPacketPath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { openNftablesDatapath } from '@tombolo/node-agent/datapath/nftables/open.ts';
import { NO_NODE_FACTS } from '@tombolo/node-agent/datapath/node-facts.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { type ConnectCase, listServices, parseCases, routesOf, targetAddress } from './connect-cases.ts';
import { ConnectLab, DISCARD_PORT, POD_CIDR, type Row, SERVER_PORT, SERVERS } from './connect-lab.ts';
import { enterNetns } from './enter-netns.ts';
import { kubeProxyRules, type ListedService } from './kube-proxy-rules.ts';
import {
  type Bench,
  type BenchOptions,
  type BenchReport,
  type BenchResult,
  type BenchSkip,
  type Pair,
  summarise,
} from './results.ts';

const DEFAULT_RUNS = 25;
/** Each half of a pair. */
const SECONDS = 0.15;

/** Something that balances, ready to be connected through. */
interface Installed {
  readonly row: Row;
  readonly cgroup: string | undefined;
  remove(): Promise<void>;
}

/** What goes through a Service, and how much of it. */
interface Measure {
  readonly bench: string;
  readonly unit: string;
  /** Of the backends. */
  readonly port: number;
  /** Services; undefined: the usual ones. */
  readonly sizes?: readonly number[];
  readonly note: string;
  readonly take: (lab: ConnectLab, row: Row, address: string, cgroup?: string) => Promise<number>;
}

export const connect: Bench = (options) =>
  run(options, {
    ...{ bench: 'connect', unit: 'conn/s', port: SERVER_PORT },
    note: `one connection after another: connect, one byte each way, reset, all on one CPU, ${SECONDS} s at a time`,
    take: (lab, row, address, cgroup) => lab.measure(row, address, SECONDS, cgroup),
  });

export const throughput: Bench = (options) =>
  run(options, {
    ...{ bench: 'throughput', unit: 'MB/s', port: DISCARD_PORT, sizes: [1] },
    note: `one connection that sends as fast as it can, both ends on one CPU, ${SECONDS} s at a time`,
    take: (lab, row, address, cgroup) => lab.stream(row, address, SECONDS, cgroup),
  });

async function run(
  { cases, runs = DEFAULT_RUNS, progress, signal }: BenchOptions,
  what: Measure,
): Promise<BenchReport> {
  const list = parseCases(cases, what.sizes);
  const results: BenchResult[] = [];
  const skipped: BenchSkip[] = [];
  const lab = await ConnectLab.build({ signal });
  try {
    for (const one of list) {
      signal.throwIfAborted();
      const begun = performance.now();
      let installed: Installed;
      try {
        installed = await install(lab, one, what.port, signal);
      } catch (error) {
        signal.throwIfAborted();
        skipped.push({ case: one.name, reason: error instanceof Error ? error.message : String(error) });
        progress(`${one.name}: not measured`);
        continue;
      }
      const loaded = performance.now() - begun;
      try {
        const result = summarise(one.name, what.unit, 'higher', await measurePairs(lab, one, installed, what, runs));
        results.push(result);
        progress(
          `${one.name}: ${result.value} ${what.unit}, straight ${result.baseline}; loaded in ${loaded.toFixed(0)} ms`,
        );
      } finally {
        await installed.remove();
      }
    }
  } finally {
    await lab.end();
  }
  return { bench: what.bench, results, skipped, notes: [what.note, ...(await notes(runs))] };
}

/** Alternating, and every other pair the other way round: whoever is second finds the machine warmer. */
async function measurePairs(
  lab: ConnectLab,
  one: ConnectCase,
  { row, cgroup }: Installed,
  { take, port }: Measure,
  runs: number,
): Promise<readonly Pair[]> {
  const through = (): Promise<number> => take(lab, row, targetAddress(one.services), cgroup);
  const straight = (): Promise<number> => take(lab, 'bare', `${SERVERS[0]}:${port}`);
  const pairs: Pair[] = [];
  for (let run = 0; run < runs; run += 1) {
    if (run % 2 === 0) {
      const baseline = await straight();
      pairs.push({ baseline, value: await through() });
    } else {
      const value = await through();
      pairs.push({ value, baseline: await straight() });
    }
  }
  return pairs;
}

function install(lab: ConnectLab, one: ConnectCase, port: number, signal: AbortSignal): Promise<Installed> {
  const services = listServices(one.services, port);
  switch (one.contestant) {
    case 'ebpf':
      return installDatapath(
        services,
        openEbpfDatapath({ pinDir: lab.pinDir, cgroupRoot: lab.cgroup, log: silentLogger }),
        {
          row: 'bare',
          cgroup: lab.cgroup,
        },
      );
    case 'packets':
      return installPackets(lab, services);
    case 'nftables':
      return installDatapath(services, openNftables(lab), { row: 'tables', cgroup: undefined });
    case 'iptables':
      return installIptables(lab, services, signal);
  }
}

async function openNftables(lab: ConnectLab): Promise<Datapath> {
  const opened = await enterNetns(lab.netns('tables', 'node'), () =>
    openNftablesDatapath({ table: 'tombolo', log: silentLogger }),
  );
  if (!opened.ok) throw new Error(`Cannot open the nftables datapath: ${opened.error}`);
  return opened.value;
}

async function installDatapath(
  services: readonly ListedService[],
  opening: Promise<Datapath>,
  place: Pick<Installed, 'row' | 'cgroup'>,
): Promise<Installed> {
  const datapath = await opening;
  const { failures } = await datapath.replace(routesOf(services));
  const [failure] = failures;
  if (failure === undefined) return { ...place, remove: () => datapath.destroy() };
  await datapath.destroy();
  throw new Error(`Cannot program ${failures.length} frontends: ${failure.reason}`);
}

/** The tables are filled as for sockets; no client's socket meets the hooks. */
async function installPackets(lab: ConnectLab, services: readonly ListedService[]): Promise<Installed> {
  const opening = openEbpfDatapath({ pinDir: lab.pinDir, cgroupRoot: lab.cgroup, log: silentLogger });
  const tables = await installDatapath(services, opening, { row: 'tables', cgroup: undefined });
  const packets = enterNetns(lab.netns('tables', 'node'), () => openPacketPath(lab.pinDir, silentLogger));
  enterNetns(lab.netns('tables', 'node'), () => packets.sync({ ...NO_NODE_FACTS, pods: [cidr(POD_CIDR)] }));
  const remove = async (): Promise<void> => {
    enterNetns(lab.netns('tables', 'node'), () => packets.remove());
    await packets.close();
    await tables.remove();
  };
  return { ...tables, remove };
}

async function installIptables(
  lab: ConnectLab,
  services: readonly ListedService[],
  signal: AbortSignal,
): Promise<Installed> {
  const netns = lab.netns('tables', 'node');
  const input = kubeProxyRules(services, POD_CIDR);
  await command(['iptables-restore', '-w', '60'], { netns, input, signal });
  const remove = async (): Promise<void> => {
    const none = ['*nat', 'COMMIT', '*filter', 'COMMIT', ''].join('\n');
    await command(['iptables-restore', '-w', '60'], { netns, input: none });
  };
  return { row: 'tables', cgroup: undefined, remove };
}

async function notes(runs: number): Promise<readonly string[]> {
  const iptables = await command(['iptables', '--version']).catch(() => 'iptables: not installed');
  return [
    `medians of ${runs} pairs`,
    'baseline: straight to a backend through a node that only routes; ratio: value to baseline, above 1 is better',
    'N Services of 3 backends each; the one connected to is in the middle of the list, which matters to iptables only',
    'ebpf: at the client’s socket, in its control group; the others: in the node, for packets from a pod (packets: by eBPF)',
    `iptables: rules laid out as by kube-proxy, loaded by this machine’s ${iptables.trim()}`,
  ];
}
