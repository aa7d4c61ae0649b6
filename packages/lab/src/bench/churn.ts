/**
 * `scripts/bench churn`: what a restless cluster costs. West changes a Service of 10,000 backends 20 times a second and
 * 10,000 others 2,000 times a second, in a real etcd: how far behind is the event loop of an agent in east, and how long
 * does the change of a local pod take meanwhile. Besides: what one change of the large Service costs the agent, and how
 * much a clustermesh-apiserver writes when a large Service of its own changes 20 times a second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentLab, WEST } from './agent-lab.ts';
import { measureWrites, type Writes, writesRow } from './exported-writes.ts';
import { Helper } from './helper.ts';
import { KernelBackends } from './kernel-backends.ts';
import { localPods, timeLocalChanges } from './local-pods.ts';
import { cpuMs } from './process-usage.ts';
import { globalService, LARGE, localService, NAMESPACES, namespaceManifest } from './remote-entries.ts';
import type { Churn, Churned, Question } from './remote-etcd.ts';
import { type Bench, type BenchResult, chosen, summarise } from './results.ts';
import { median, percentile } from './statistics.ts';

const CASES = ['delay', 'local-change', 'one-endpoint', 'writes'] as const;
const SERVICES = 10_000;
const BACKENDS = 25;
/** Every so manieth has a global Service here, and so have the large one and that of the local pods. */
const USED_HERE = 10;
const LARGE_BACKENDS = 10_000;
const CHURN: Churn = {
  services: SERVICES,
  backends: BACKENDS,
  perSecond: 2000,
  large: { backends: LARGE_BACKENDS, perSecond: 20 },
};
/** What is to be reached. */
const MOST_DELAY_MS = 50;
const MOST_CPU_MS = 25;

const IDLE_MS = 4000;
const BUSY_MS = 12_000;
const CHANGES = 16;
/** Between two changes of the large Service. */
const APART_MS = 300;
const SETTLE_MS = 2000;
/** About as long as the changes take: what one change seems to take is wrong by as much as this is. */
const BACKGROUND_MS = 24_000;
const GIVE_UP_MS = 30_000;

interface Round {
  readonly delayMs: number;
  readonly idleDelayMs: number;
  /** Ms of local changes: nothing else happens; west is restless and the agent does not read it; it does. */
  readonly quiet: readonly number[];
  readonly unread: readonly number[];
  readonly busy: readonly number[];
  /** CPU of the agent for one change, and for one of the first, while what they run is being compiled. */
  readonly changeMs: number;
  readonly firstChangeMs: number;
  readonly churned: Churned;
}

export const churn: Bench = async ({ cases, runs = 1, progress, signal }) => {
  const wanted = chosen(cases, CASES);
  const rounds: Round[] = [];
  const writes: Writes[] = [];
  const lab = await AgentLab.start('benchchurn', signal, { west: true });
  try {
    const { plan } = lab.west;
    const etcd = await Helper.start('remote-etcd', [plan.etcdEndpoint, WEST.name, `${WEST.id}`], plan.controlPlane);
    if (CASES.some((one) => one !== 'writes' && wanted.has(one))) {
      await prepare(lab, etcd);
      for (let run = 1; run <= runs; run++) {
        const round = await new RestlessWest(lab, etcd, signal).measure();
        rounds.push(round);
        progress(
          `run ${run} of ${runs}: loop ${round.delayMs.toFixed(0)} ms behind, local changes ${percentile(round.busy, 99).toFixed(1)} ms, one endpoint ${round.changeMs.toFixed(0)} ms of CPU`,
        );
      }
    }
    if (wanted.has('writes')) for (let run = 1; run <= runs; run++) writes.push(await measureWrites(lab, signal));
  } finally {
    await lab.close();
  }
  const results = [...roundRows(rounds), ...writesRow(writes)].filter(({ case: name }) =>
    [...wanted].some((each) => each === name),
  );
  return { bench: 'churn', results, skipped: [], notes: [...roundNotes(rounds), ...writes.map(({ note }) => note)] };
};

async function prepare(lab: AgentLab, etcd: Helper): Promise<void> {
  await lab.create(NAMESPACES.map(namespaceManifest));
  await lab.create(Array.from({ length: SERVICES / USED_HERE }, (_, i) => localService(i * USED_HERE)));
  await lab.create([globalService('default', LARGE), globalService('default', 'web'), localPods()]);
  await etcd.ask({ do: 'large', backends: LARGE_BACKENDS } satisfies Question);
  await etcd.ask({ do: 'fill', services: SERVICES, backends: BACKENDS } satisfies Question);
}

/** One agent's life: alone, beside a restless west that it does not read, and reading it. */
class RestlessWest {
  readonly #lab: AgentLab;
  readonly #etcd: Helper;
  readonly #signal: AbortSignal;

  constructor(lab: AgentLab, etcd: Helper, signal: AbortSignal) {
    this.#lab = lab;
    this.#etcd = etcd;
    this.#signal = signal;
  }

  async measure(): Promise<Round> {
    const lab = this.#lab;
    await lab.startAgent();
    const web = await this.#kernel('web');
    const large = await this.#kernel(LARGE);
    try {
      const localChanges = (ms: number) => timeLocalChanges(lab.api, web, ms, this.#signal);
      await localChanges(IDLE_MS / 2); // Until what runs all the time has been compiled.
      await this.#delay();
      const quiet = await localChanges(IDLE_MS);
      const idleDelayMs = await this.#delay();
      await this.#churn();
      const unread = await localChanges(BUSY_MS);
      await this.#rest();
      await this.#ask({ do: 'large', backends: LARGE_BACKENDS });
      await lab.joinWest();
      await lab.agentHas(SERVICES);
      const backgroundMs = await this.#background(large);
      const firstChangeMs = await this.#oneEndpoint(large, backgroundMs);
      const changeMs = await this.#oneEndpoint(large, backgroundMs);
      await this.#churn();
      await sleep(SETTLE_MS, undefined, { signal: this.#signal });
      await this.#delay();
      const busy = await localChanges(BUSY_MS);
      const delayMs = await this.#delay();
      const churned = await this.#rest();
      return { quiet, unread, busy, idleDelayMs, delayMs, firstChangeMs, changeMs, churned };
    } finally {
      web.close();
      large.close();
      await lab.stopAgent();
      await lab.leaveWest();
    }
  }

  async #kernel(service: string): Promise<KernelBackends> {
    const { east, node } = this.#lab;
    return KernelBackends.open(node.plan.bpfDirectory, await east.serviceAddress(service), 80);
  }

  async #settled(large: KernelBackends, count: number): Promise<void> {
    if (await large.reaches(count, GIVE_UP_MS, this.#signal)) return;
    throw new Error(
      `Cannot measure: expected ${count} backends of ${LARGE} in the kernel: current value is ${large.count()}`,
    );
  }

  /** CPU of the agent in each ms when nothing happens. */
  async #background(large: KernelBackends): Promise<number> {
    await this.#settled(large, LARGE_BACKENDS);
    await sleep(SETTLE_MS, undefined, { signal: this.#signal });
    return perMs(this.#lab.node.agent.pid, () => sleep(BACKGROUND_MS, undefined, { signal: this.#signal }));
  }

  /** CPU of the agent for one change, over what it takes anyway. */
  async #oneEndpoint(large: KernelBackends, background: number): Promise<number> {
    const { pid } = this.#lab.node.agent;
    const [before, started] = [cpuMs(pid), performance.now()];
    for (let change = 0; change < CHANGES; change++) {
      const without = change % 2 === 0 ? { without: change } : {};
      await this.#ask({ do: 'large', backends: LARGE_BACKENDS, ...without });
      await this.#settled(large, LARGE_BACKENDS - (change % 2 === 0 ? 1 : 0));
      await sleep(APART_MS, undefined, { signal: this.#signal });
    }
    return (cpuMs(pid) - before - background * (performance.now() - started)) / CHANGES;
  }

  /** The 99th percentile of the delay of the agent's loop since the last time that one asked, in ms. */
  async #delay(): Promise<number> {
    const metrics = await this.#lab.metrics();
    return 1000 * (metrics.get('tombolo_nodejs_eventloop_lag_p99_seconds') ?? Number.NaN);
  }

  #churn(): Promise<unknown> {
    return this.#ask({ do: 'churn', ...CHURN });
  }

  #rest(): Promise<Churned> {
    return this.#ask<Churned>({ do: 'rest' });
  }

  #ask<Answer = object>(question: Question): Promise<Answer> {
    return this.#etcd.ask<Answer>(question);
  }
}

/** CPU of a process for each ms that passes. */
async function perMs(pid: number, during: () => Promise<unknown>): Promise<number> {
  const [before, started] = [cpuMs(pid), performance.now()];
  await during();
  return (cpuMs(pid) - before) / (performance.now() - started);
}

function roundRows(rounds: readonly Round[]): readonly BenchResult[] {
  if (rounds.length === 0) return [];
  const row = (name: string, value: (round: Round) => number, baseline: (round: Round) => number): BenchResult =>
    summarise(
      name,
      'ms',
      'lower',
      rounds.map((round) => ({ value: value(round), baseline: baseline(round) })),
    );
  return [
    row(
      'delay',
      ({ delayMs }) => delayMs,
      () => MOST_DELAY_MS,
    ),
    row(
      'local-change',
      ({ busy }) => percentile(busy, 99),
      ({ unread }) => percentile(unread, 99),
    ),
    row(
      'one-endpoint',
      ({ changeMs }) => changeMs,
      () => MOST_CPU_MS,
    ),
  ];
}

function roundNotes(rounds: readonly Round[]): readonly string[] {
  if (rounds.length === 0) return [];
  const medianOf = (value: (round: Round) => number): string => median(rounds.map(value)).toFixed(1);
  const p = (which: 'quiet' | 'unread' | 'busy'): string =>
    `p50 ${medianOf((round) => percentile(round[which], 50))}, p99 ${medianOf((round) => percentile(round[which], 99))} ms`;
  return [
    `west really changed ${medianOf(({ churned }) => churned.large / churned.seconds)} times/s one Service of ${LARGE_BACKENDS} backends, and ${medianOf(({ churned }) => churned.small / churned.seconds)} times/s ${SERVICES} of ${BACKENDS}, one in ${USED_HERE} of which is here, too`,
    `delay: p99 of the agent’s event loop, looked at every 10 ms (idle: ${medianOf(({ idleDelayMs }) => idleDelayMs)} ms); baseline: what is to be reached, ${MOST_DELAY_MS} ms`,
    `local-change: p99, from sending an EndpointSlice to the API server until the eBPF map has it; baseline: an agent that does not read west, while west is as restless; 0.33 is what is to be reached`,
    `local changes: reading west ${p('busy')}; not reading it ${p('unread')}; with nothing else going on ${p('quiet')}`,
    `one-endpoint: CPU of the agent for one backend more or less of ${LARGE_BACKENDS}, ${CHANGES} changes one after another; the ${CHANGES} before them, while their code is compiled: ${medianOf(({ firstChangeMs }) => firstChangeMs)} ms; baseline: what is to be reached, ${MOST_CPU_MS} ms`,
  ];
}
