/** A running stream of requests from a pod (`programs/requests.ts`), and its counts. */
import { Program } from '@tombolo/machine/program.ts';
import type { RequestCounts } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { typescript } from './programs.ts';

export interface RequestStreamOptions {
  readonly count?: number;
  readonly workers?: number;
  readonly intervalMs?: number;
}

interface Place {
  readonly name: string;
  readonly netns: string;
  readonly cgroup: string;
  readonly directory: string;
}

const NONE: RequestCounts = { sent: 0, answered: 0, failed: 0, by: {}, errors: {}, slowestMs: 0 };
let started = 0;

export class RequestStream {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(url: string, options: RequestStreamOptions, place: Place): Promise<RequestStream> {
    const { count, workers = 1, intervalMs = 4 } = options;
    const id = `requests-${process.pid}-${++started}`;
    const program = new Program({
      name: `requests of ${place.name}`,
      argv: [
        ...typescript('packages/machine/src/programs/requests.ts'),
        ...[url, '--json'],
        ...(count === undefined ? [] : ['--count', `${count}`]),
        ...['--workers', `${workers}`, '--interval-ms', `${intervalMs}`],
      ],
      netns: place.netns,
      cgroup: `${place.cgroup}/${id}`,
      logFile: `${place.directory}/${id}.log`,
    });
    await program.start();
    return new RequestStream(program);
  }

  async counts(): Promise<RequestCounts> {
    const lines = (await this.#program.log()).split('\n');
    const last = lines.at(-2); // The last is empty, or half written.
    return last === undefined ? NONE : (JSON.parse(last) as RequestCounts);
  }

  /** Waits until so many requests more have been answered or have failed. */
  async more(count: number, timeoutMs = 60_000): Promise<RequestCounts> {
    const done = ({ answered, failed }: RequestCounts) => answered + failed;
    const goal = done(await this.counts()) + count;
    return waitUntil(
      `${count} more requests`,
      async () => {
        const counts = await this.counts();
        return done(counts) >= goal && counts;
      },
      { timeoutMs },
    );
  }

  /** Finishes the requests under way. */
  async stop(): Promise<RequestCounts> {
    if (this.#program.running) await this.#program.stop();
    return this.counts();
  }

  /** After `count` requests. */
  async finished(): Promise<RequestCounts> {
    const { code } = await this.#program.exited;
    if (code === 0) return this.counts();
    throw new Error(`Cannot count requests: ${await this.#program.logTail()}`);
  }
}
