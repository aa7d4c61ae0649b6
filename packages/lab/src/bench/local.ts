/**
 * `scripts/bench local`: what it costs to serve the Services of one cluster, 5,000 with 10 endpoints each: an agent with
 * `--services all --datapath nftables` against the real kube-proxy in nftables mode, both at the same real API server.
 * Each is started with nothing in its kernel, and once more over what it left there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupProcesses } from '@tombolo/machine/cgroup.ts';
import type { Program } from '@tombolo/machine/program.ts';
import { type Contestant, LocalLab, type Seat } from './local-lab.ts';
import { cpuMs, megabytes, resident } from './process-usage.ts';
import { type Bench, type BenchResult, chosen, summarise, worst } from './results.ts';

const CASES = ['peak', 'cpu', 'time'] as const;
type Case = (typeof CASES)[number];
const UNITS: Readonly<Record<Case, string>> = { peak: 'MB', cpu: 's', time: 's' };
const WAYS = ['fresh', 'restarted'] as const;
type Way = (typeof WAYS)[number];
const SERVICES = 5000;
const ENDPOINTS = 10;
const DEFAULT_RUNS = 2;
const SAMPLE_MS = 20;
const LOOK_AGAIN_MS = 500;
const GIVE_UP_MS = 120_000;
/** It rests when it has used less CPU than this in a second. */
const REST_CPU_MS = 50;
const REST_WITHIN_S = 20;

type Measured = Readonly<Record<Case, number>>;
type Run = Readonly<Record<Contestant, Readonly<Record<Way, Measured>>>>;

export const local: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const wanted = chosen(cases, CASES);
  const all: Run[] = [];
  const lab = await LocalLab.start(signal);
  try {
    await lab.fill(SERVICES, ENDPOINTS);
    for (let run = 1; run <= runs; run++) {
      const measure = async (contestant: Contestant) => {
        const ways = await measureBoth(lab, lab.seats[contestant], signal);
        for (const way of WAYS) progress(`run ${run} of ${runs}: ${contestant} ${way}: ${inWords(ways[way])}`);
        return ways;
      };
      const agent = await measure('agent');
      all.push({ agent, 'kube-proxy': await measure('kube-proxy') });
    }
  } finally {
    await lab.close();
  }
  const rows = [...wanted].map((one) => WAYS.map((way) => rowOf(all, one, way)));
  return { bench: 'local', results: rows.map(worst), skipped: [], notes: notes(rows, runs) };
};

/** Exported for its test. */
export const rowOf = (runs: readonly Run[], one: Case, way: Way): BenchResult =>
  summarise(
    one,
    UNITS[one],
    'lower',
    runs.map((run) => ({ value: run.agent[way][one], baseline: run['kube-proxy'][way][one] })),
  );

async function measureBoth(lab: LocalLab, seat: Seat, signal: AbortSignal): Promise<Readonly<Record<Way, Measured>>> {
  const fresh = await measureStart(lab, seat, signal);
  await seat.program.kill();
  const restarted = await measureStart(lab, seat, signal);
  await lab.clear(seat);
  return { fresh, restarted };
}

/** A marker is there that no kernel has yet: until it is served, the kernel is not right. */
async function measureStart(lab: LocalLab, seat: Seat, signal: AbortSignal): Promise<Measured> {
  const { program, readiness } = seat;
  const marker = await lab.addMarker();
  const served = readiness.ask<{ at: number }>({ host: marker, port: 80 });
  const started = Number(process.hrtime.bigint()) / 1e6;
  await program.start();
  const watch = new MemoryWatch(program);
  try {
    const right = await whenRight(lab, seat, served, signal);
    await atRest(program, signal);
    return { peak: megabytes(watch.peak), cpu: cpuMs(program.pid) / 1000, time: (right - started) / 1000 };
  } finally {
    watch.end();
  }
}

/** That the marker is served is cheap to know; that all others are, too, is then looked at. */
async function whenRight(
  lab: LocalLab,
  seat: Seat,
  served: Promise<{ readonly at: number }>,
  signal: AbortSignal,
): Promise<number> {
  const late = new AbortController();
  const giveUp = sleep(GIVE_UP_MS, undefined, { signal: AbortSignal.any([signal, late.signal]) });
  giveUp.catch(() => {});
  const outcome = await Promise.race([served, seat.program.exited, giveUp]);
  late.abort();
  signal.throwIfAborted();
  if (outcome === undefined || !('at' in outcome))
    throw new Error(`Cannot measure: ${seat.program.name} does not serve:\n${await seat.program.logTail()}`);
  if (await lab.isRight(seat)) return outcome.at;
  const deadline = performance.now() + GIVE_UP_MS;
  while (performance.now() < deadline) {
    await sleep(LOOK_AGAIN_MS, undefined, { signal });
    if (await lab.isRight(seat)) return Number(process.hrtime.bigint()) / 1e6;
  }
  throw new Error(`Cannot measure: ${seat.program.name} does not serve all:\n${await seat.program.logTail()}`);
}

async function atRest({ pid }: Program, signal: AbortSignal): Promise<void> {
  for (let second = 0; second < REST_WITHIN_S; second++) {
    const before = cpuMs(pid);
    await sleep(1000, undefined, { signal });
    if (cpuMs(pid) - before < REST_CPU_MS) return;
  }
}

/** Resident memory of a program and its children together, at the most. */
class MemoryWatch {
  readonly #program: Program;
  readonly #timer: NodeJS.Timeout;
  #most = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#timer = setInterval(() => void this.#look(), SAMPLE_MS);
  }

  /** What the program alone once had is known exactly. */
  get peak(): number {
    return Math.max(this.#most, resident(this.#program.pid, 'VmHWM'));
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const pids = await cgroupProcesses(this.#program.spec.cgroup);
    const sum = pids.map(residentIfAlive).reduce((total, each) => total + each, 0);
    this.#most = Math.max(this.#most, sum);
  }
}

function residentIfAlive(pid: number): number {
  try {
    return resident(pid);
  } catch {
    return 0; // It has just ended.
  }
}

const inWords = ({ peak, cpu, time }: Measured): string =>
  `${peak.toFixed(0)} MB, ${cpu.toFixed(1)} s of CPU, right after ${time.toFixed(2)} s`;

function notes(rows: readonly (readonly BenchResult[])[], runs: number): readonly string[] {
  return [
    `${SERVICES} Services of ${ENDPOINTS} endpoints at a real API server; medians of ${runs} runs`,
    'the worse of two starts: fresh, with nothing in the kernel, and restarted, over what a killed one left there',
    'baseline: kube-proxy in nftables mode at the same API server, in a namespace of its own, one after the other',
    ...rows.map((ways) =>
      ways
        .map(({ case: name, value, unit, baseline, ratio }, i) => {
          const figures = `${value} ${unit}, kube-proxy ${baseline} ${unit} (${ratio.toFixed(2)})`;
          return `${i === 0 ? `${name}: ` : ''}${WAYS[i]} ${figures}`;
        })
        .join('; '),
    ),
    `peak: resident, with children, looked at every ${SAMPLE_MS} ms; cpu: with children, until it rests; time: from its start until a Service made just before is served and the kernel has all others`,
  ];
}
