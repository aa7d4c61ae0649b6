/**
 * `scripts/bench sync`: an agent reads a large remote cluster for the first time. Cluster west has 10,000 Services of 25
 * backends, written as Cilium writes them, in a real etcd; every tenth is a global Service here, too. How long until the
 * agent's table has all of them, against a bare listing; how long its event loop is blocked; how much memory it takes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentLab, WEST } from './agent-lab.ts';
import type { BareListing } from './bare-listing.ts';
import { Helper } from './helper.ts';
import { cpuMs, megabytes, resident } from './process-usage.ts';
import { localService, NAMESPACES, namespaceManifest, servicesPrefix } from './remote-entries.ts';
import type { Question } from './remote-etcd.ts';
import { type Bench, type BenchOptions, type BenchResult, chosen, summarise } from './results.ts';
import { median } from './statistics.ts';

const CASES = ['list', 'block', 'memory', 'memory-per-backend'] as const;
const BACKENDS = 25;
const SERVICES = 10_000;
const MORE_SERVICES = 20_000;
/** Every so manieth has a global Service here. */
const USED_HERE = 10;
const DEFAULT_RUNS = 3;
/** What is to be reached. */
const MOST_BLOCK_MS = 50;
const MOST_MEGABYTES = 200;
const MOST_BYTES_A_BACKEND = 1000;
/** Until an agent that has just become ready is quiet. */
const SETTLE_MS = 1000;

interface Listed {
  readonly ms: number;
  readonly cpuMs: number;
  readonly blockMs: number;
  /** Resident, over the same process before. */
  readonly bytes: number;
}

/** Measured next to each other. */
interface Measured {
  readonly agent: Listed;
  readonly bare: Listed;
}

export const sync: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const wanted = chosen(cases, CASES);
  const lab = await AgentLab.start('benchsync', signal, { west: true });
  try {
    await lab.create(NAMESPACES.map(namespaceManifest));
    await lab.create(Array.from({ length: SERVICES / USED_HERE }, (_, i) => localService(i * USED_HERE)));
    const { plan } = lab.west;
    const etcd = await Helper.start('remote-etcd', [plan.etcdEndpoint, WEST.name, `${WEST.id}`], plan.controlPlane);
    const measure = async (services: number, times: number): Promise<readonly Measured[]> => {
      await etcd.ask({ do: 'fill', services, backends: BACKENDS } satisfies Question);
      return measurePairs(lab, services, times, progress);
    };
    const first = await measure(SERVICES, runs);
    const second = wanted.has('memory-per-backend') ? await measure(MORE_SERVICES, 1) : [];
    const results = rows(first, second).filter(({ case: name }) => [...wanted].some((each) => each === name));
    return { bench: 'sync', results, skipped: [], notes: notes(first, second) };
  } finally {
    await lab.close();
  }
};

/** Every other pair the other way round. */
async function measurePairs(
  lab: AgentLab,
  services: number,
  times: number,
  progress: BenchOptions['progress'],
): Promise<readonly Measured[]> {
  const pairs: Measured[] = [];
  for (let run = 0; run < times; run++) {
    const before = run % 2 === 1 ? await measureBare(lab, services) : undefined;
    const agent = await measureAgent(lab, services);
    const pair = { agent, bare: before ?? (await measureBare(lab, services)) };
    pairs.push(pair);
    progress(`${services} services, run ${run + 1} of ${times}: agent ${inWords(agent)}; bare ${inWords(pair.bare)}`);
  }
  return pairs;
}

async function measureAgent(lab: AgentLab, services: number): Promise<Listed> {
  await lab.startAgent();
  await sleep(SETTLE_MS);
  const { pid } = lab.node.agent;
  const before = resident(pid);
  await lab.metrics();
  const cpuBefore = cpuMs(pid);
  const started = performance.now();
  await lab.joinWest();
  await lab.agentHas(services);
  const ms = performance.now() - started;
  const bytes = resident(pid) - before;
  const cpu = cpuMs(pid) - cpuBefore;
  const metrics = await lab.metrics();
  await lab.stopAgent();
  await lab.leaveWest();
  return {
    ms,
    cpuMs: cpu,
    bytes,
    blockMs: 1000 * (metrics.get('tombolo_nodejs_eventloop_lag_max_seconds') ?? Number.NaN),
  };
}

async function measureBare({ node, west }: AgentLab, services: number): Promise<Listed> {
  const helper = await Helper.start('bare-listing', [west.plan.etcdEndpoint, servicesPrefix(WEST)], node.plan);
  try {
    const listing = await helper.ask<BareListing>({});
    if (listing.keys === services) return listing;
    throw new Error(`Cannot measure: expected ${services} keys in west's etcd: current value is ${listing.keys}`);
  } finally {
    await helper.end();
  }
}

function rows(first: readonly Measured[], second: readonly Measured[]): readonly BenchResult[] {
  const row = (
    name: (typeof CASES)[number],
    unit: string,
    measured: readonly Measured[],
    value: (agent: Listed) => number,
    baseline: (bare: Listed) => number,
  ): BenchResult =>
    summarise(
      name,
      unit,
      'lower',
      measured.map(({ agent, bare }) => ({ value: value(agent), baseline: baseline(bare) })),
    );
  return [
    row(
      'list',
      'ms',
      first,
      ({ ms }) => ms,
      ({ ms }) => ms,
    ),
    row(
      'block',
      'ms',
      first,
      ({ blockMs }) => blockMs,
      () => MOST_BLOCK_MS,
    ),
    row(
      'memory',
      'MB',
      first,
      ({ bytes }) => megabytes(bytes),
      () => MOST_MEGABYTES,
    ),
    ...(second.length === 0
      ? []
      : [
          row(
            'memory-per-backend',
            'B',
            second,
            ({ bytes }) => perBackend(bytes),
            () => MOST_BYTES_A_BACKEND,
          ),
        ]),
  ];
}

const perBackend = (bytes: number): number => bytes / (MORE_SERVICES * BACKENDS);

function notes(first: readonly Measured[], second: readonly Measured[]): readonly string[] {
  const bare = (measured: readonly Measured[], value: (bare: Listed) => number): number =>
    median(measured.map((pair) => value(pair.bare)));
  const seconds = (side: (pair: Measured) => Listed): string =>
    (median(first.map((pair) => side(pair).cpuMs)) / 1000).toFixed(1);
  const growth = megabytes(bare(first, ({ bytes }) => bytes)).toFixed(0);
  return [
    `${SERVICES} Services of ${BACKENDS} backends, one in ${USED_HERE} also here; medians of ${first.length} pairs`,
    'list: from the cluster’s file in the clustermesh directory until the table has it; baseline: etcd3 lists the same keys in pages and JSON.parse reads each value, from connecting to the last value',
    `CPU meanwhile: agent ${seconds(({ agent }) => agent)} s, bare listing ${seconds(({ bare }) => bare)} s; a busy machine bends it less than the time`,
    `block: of the event loop, looked at every 10 ms, meanwhile; baseline: what is to be reached, ${MOST_BLOCK_MS} ms (the bare listing: ${bare(first, ({ blockMs }) => blockMs).toFixed(0)} ms)`,
    `memory: resident then, over the same agent before; baseline: what is to be reached, ${MOST_MEGABYTES} MB (the bare listing: ${growth} MB)`,
    ...(second.length === 0
      ? []
      : [
          `memory-per-backend: the same with ${MORE_SERVICES} Services, for each backend; baseline: what is to be reached, 1 kB (the bare listing: ${bare(second, ({ bytes }) => perBackend(bytes)).toFixed(0)} B)`,
        ]),
  ];
}

const inWords = ({ ms, cpuMs, blockMs, bytes }: Listed): string =>
  `${ms.toFixed(0)} ms (CPU ${cpuMs.toFixed(0)} ms), blocked for ${blockMs.toFixed(0)} ms, ${megabytes(bytes).toFixed(0)} MB`;
