/**
 * `scripts/bench idle`: what an agent and a clustermesh-apiserver take when there is nothing to do, no Services and no
 * other clusters: resident memory once they are ready and quiet, and the time from start to ready.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '@tombolo/machine/command.ts';
import { HEALTH_PORTS } from '../mesh/programs.ts';
import { AgentLab } from './agent-lab.ts';
import { cpuMs, megabytes, resident } from './process-usage.ts';
import { type Bench, type BenchResult, chosen, type Pair, summarise, worst } from './results.ts';
import { median } from './statistics.ts';

const CASES = ['memory', 'ready'] as const;
type Case = (typeof CASES)[number];
const PROGRAMS = ['agent', 'apiserver'] as const;
const UNITS: Readonly<Record<Case, string>> = { memory: 'MB', ready: 's' };
/** What is to be reached. */
const BOUNDS: Readonly<Record<Case, number>> = { memory: 110, ready: 0.6 };
const DEFAULT_RUNS = 3;
/** Until it is quiet. */
const SETTLE_MS = 1500;

/** With the CPU, in s, that it took until then. */
type Measured = Readonly<Record<Case | 'cpu', number>>;

export const idle: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const wanted = chosen(cases, CASES);
  const measured = { agent: [] as Measured[], apiserver: [] as Measured[] };
  const bare: Measured[] = [];
  const lab = await AgentLab.start('benchidle', signal);
  try {
    for (let run = 0; run <= runs; run++) {
      const round = { agent: await measureAgent(lab, signal), apiserver: await measureApiserver(lab, signal) };
      if (run === 0) continue; // It has code to compile that the others find compiled.
      for (const name of PROGRAMS) {
        measured[name].push(round[name]);
        progress(`run ${run} of ${runs}: ${name} ${inWords(round[name])}`);
      }
      bare.push(await measureBareNode());
    }
  } finally {
    await lab.close();
  }
  const row = (one: Case, program: (typeof PROGRAMS)[number]): BenchResult =>
    summarise(
      one,
      UNITS[one],
      'lower',
      measured[program].map((each): Pair => ({ value: each[one], baseline: BOUNDS[one] })),
    );
  return {
    bench: 'idle',
    results: [...wanted].map((one) => worst(PROGRAMS.map((program) => row(one, program)))),
    skipped: [],
    notes: [
      'the worse of the two programs; baseline: what is to be reached, 110 MB and 0.6 s',
      ...PROGRAMS.map((program) => `${program}: ${inWords(medians(measured[program]))}`),
      `a bare node process: ${inWords(medians(bare))}`,
      `resident memory ${SETTLE_MS} ms after it was ready; ready: from its start until /readyz answers 200`,
      `medians of ${runs} runs, after one that is not counted`,
    ],
  };
};

async function measureAgent(lab: AgentLab, signal: AbortSignal): Promise<Measured> {
  const ms = await lab.startAgent();
  await sleep(SETTLE_MS, undefined, { signal });
  const measured = { ...used(lab.node.agent.pid), ready: ms / 1000 };
  await lab.stopAgent();
  return measured;
}

async function measureApiserver(lab: AgentLab, signal: AbortSignal): Promise<Measured> {
  const { apiserver, plan } = lab.east;
  const ms = await lab.timeToReady(apiserver, `http://${plan.controlPlane.address}:${HEALTH_PORTS.apiserver}/readyz`);
  await sleep(SETTLE_MS, undefined, { signal });
  const measured = { ...used(apiserver.pid), ready: ms / 1000 };
  await apiserver.stop(); // Killed, it would not leave what it compiled to the next run.
  return measured;
}

const used = (pid: number) => ({ memory: megabytes(resident(pid)), cpu: cpuMs(pid) / 1000 });

/** Its start and its end. */
async function measureBareNode(): Promise<Measured> {
  const started = performance.now();
  const script = '({ rss: process.memoryUsage.rss(), ...process.cpuUsage() })';
  const { rss, user, system } = JSON.parse(await command([process.execPath, '-p', `JSON.stringify(${script})`]));
  return { memory: megabytes(rss), cpu: (user + system) / 1e6, ready: (performance.now() - started) / 1000 };
}

const medians = (all: readonly Measured[]): Measured => ({
  cpu: median(all.map(({ cpu }) => cpu)),
  memory: median(all.map(({ memory }) => memory)),
  ready: median(all.map(({ ready }) => ready)),
});

const inWords = ({ memory, ready, cpu }: Measured): string =>
  `${memory.toFixed(0)} MB, ready after ${ready.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU`;
