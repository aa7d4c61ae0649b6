/**
 * `scripts/bench connect`: connections per second through a Service, against straight to a backend. One connection after
 * another: connect, a byte there and back, reset. The datapaths are the real ones; iptables has kube-proxy's rules.
 */

import { command } from '@tombolo/machine/command.ts';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { openEbpfDatapath, openPacketPath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { openNftablesDatapath } from '@tombolo/node-agent/datapath/nftables/open.ts';
import { NO_NODE_FACTS } from '@tombolo/node-agent/datapath/node-facts.ts';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { type ConnectCase, listServices, parseCases, routesOf, targetAddress } from './connect-cases.ts';
import { ConnectLab, POD_CIDR, type Row, SERVER_PORT, SERVERS } from './connect-lab.ts';
import { enterNetns } from './enter-netns.ts';
import { kubeProxyRules } from './kube-proxy-rules.ts';
import { type Bench, type BenchResult, type BenchSkip, type Pair, summarise } from './results.ts';

const DEFAULT_RUNS = 25;
/** Each half of a pair. */
const SECONDS = 0.15;

/** Something that balances, ready to be connected through. */
interface Installed {
  readonly row: Row;
  readonly cgroup: string | undefined;
  remove(): Promise<void>;
}

export const connect: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const list = parseCases(cases);
  const results: BenchResult[] = [];
  const skipped: BenchSkip[] = [];
  const lab = await ConnectLab.build({ signal });
  try {
    for (const one of list) {
      signal.throwIfAborted();
      const begun = performance.now();
      let installed: Installed;
      try {
        installed = await install(lab, one, signal);
      } catch (error) {
        signal.throwIfAborted();
        skipped.push({ case: one.name, reason: error instanceof Error ? error.message : String(error) });
        progress(`${one.name}: not measured`);
        continue;
      }
      const loaded = performance.now() - begun;
      try {
        const result = summarise(one.name, 'conn/s', 'higher', await measurePairs(lab, one, installed, runs));
        results.push(result);
        progress(`${one.name}: ${result.value} conn/s, straight ${result.baseline}; loaded in ${loaded.toFixed(0)} ms`);
      } finally {
        await installed.remove();
      }
    }
  } finally {
    await lab.end();
  }
  return { bench: 'connect', results, skipped, notes: await notes(runs) };
};

/** Alternating, and every other pair the other way round: whoever is second finds the machine warmer. */
async function measurePairs(
  lab: ConnectLab,
  one: ConnectCase,
  { row, cgroup }: Installed,
  runs: number,
): Promise<readonly Pair[]> {
  const through = (): Promise<number> => lab.measure(row, targetAddress(one.services), SECONDS, cgroup);
  const straight = (): Promise<number> => lab.measure('bare', `${SERVERS[0]}:${SERVER_PORT}`, SECONDS);
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

function install(lab: ConnectLab, one: ConnectCase, signal: AbortSignal): Promise<Installed> {
  switch (one.contestant) {
    case 'ebpf':
      return installDatapath(one, openEbpfDatapath({ pinDir: lab.pinDir, cgroupRoot: lab.cgroup, log: silentLogger }), {
        row: 'bare',
        cgroup: lab.cgroup,
      });
    case 'packets':
      return installPackets(lab, one);
    case 'nftables':
      return installDatapath(one, openNftables(lab), { row: 'tables', cgroup: undefined });
    case 'iptables':
      return installIptables(lab, one, signal);
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
  one: ConnectCase,
  opening: Promise<Datapath>,
  place: Pick<Installed, 'row' | 'cgroup'>,
): Promise<Installed> {
  const datapath = await opening;
  const { failures } = await datapath.replace(routesOf(listServices(one.services)));
  const [failure] = failures;
  if (failure === undefined) return { ...place, remove: () => datapath.destroy() };
  await datapath.destroy();
  throw new Error(`Cannot program ${failures.length} frontends: ${failure.reason}`);
}

/** The tables are filled as for sockets; no client's socket meets the hooks. */
async function installPackets(lab: ConnectLab, one: ConnectCase): Promise<Installed> {
  const opening = openEbpfDatapath({ pinDir: lab.pinDir, cgroupRoot: lab.cgroup, log: silentLogger });
  const tables = await installDatapath(one, opening, { row: 'tables', cgroup: undefined });
  const packets = enterNetns(lab.netns('tables', 'node'), () => openPacketPath(lab.pinDir, silentLogger));
  enterNetns(lab.netns('tables', 'node'), () => packets.sync({ ...NO_NODE_FACTS, pods: [cidr(POD_CIDR)] }));
  const remove = async (): Promise<void> => {
    enterNetns(lab.netns('tables', 'node'), () => packets.remove());
    await packets.close();
    await tables.remove();
  };
  return { ...tables, remove };
}

async function installIptables(lab: ConnectLab, one: ConnectCase, signal: AbortSignal): Promise<Installed> {
  const netns = lab.netns('tables', 'node');
  const input = kubeProxyRules(listServices(one.services), POD_CIDR);
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
    `one connection after another: connect, one byte each way, reset, all on one CPU; medians of ${runs} pairs of ${SECONDS} s each`,
    'baseline: straight to a backend through a node that only routes; ratio: value to baseline, above 1 is better',
    'N Services of 3 backends each; the one connected to is in the middle of the list, which matters to iptables only',
    'ebpf: at the client’s socket, in its control group; the others: in the node, for packets from a pod (packets: by eBPF)',
    `iptables: rules laid out as by kube-proxy, loaded by this machine’s ${iptables.trim()}`,
  ];
}
