/**
 * A helper program of this folder, run where it is needed (most addresses can be reached only from inside a mesh) and
 * asked things: a JSON object to a line, and the same back. `serve` is the helper's end of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { programEnvironment } from '@tombolo/machine/environment.ts';
import { placed } from '@tombolo/machine/placement.ts';
import { typescript } from '../mesh/programs.ts';

export interface HelperPlace {
  readonly netns: string;
  /** Below that of the mesh, so that it ends with it at the latest. */
  readonly cgroup: string;
}

export class Helper {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #answers: AsyncIterator<string>;

  private constructor(name: string, child: ChildProcess, input: Writable, output: Readable) {
    this.#name = name;
    this.#child = child;
    this.#input = input;
    this.#answers = createInterface({ input: output })[Symbol.asyncIterator]();
  }

  /** `name`: a file of this folder. */
  static async start(name: string, args: readonly string[], { netns, cgroup }: HelperPlace): Promise<Helper> {
    const place = { netns, cgroup: await createCgroup(`${cgroup}/${name}`) };
    const [file = '', ...argv] = placed([...typescript(`packages/lab/src/bench/${name}.ts`), ...args], place);
    const child = spawn(file, argv, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: programEnvironment(),
      detached: true,
    });
    child.stdin.on('error', () => {}); // It has ended; whoever waits for its answer is told.
    await once(child, 'spawn');
    return new Helper(name, child, child.stdin, child.stdout);
  }

  /** One question at a time. */
  async ask<Answer>(question: object): Promise<Answer> {
    this.#input.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`Cannot go on: ${this.#name} ended before it had answered ${JSON.stringify(question)}`);
    return JSON.parse(value);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async end(): Promise<void> {
    const ended =
      this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, 'exit') : undefined;
    this.#input.end();
    await ended;
  }
}

/** Answers until its input ends. Whatever fails ends the program. */
export async function serve<Question>(answer: (question: Question) => Promise<object>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
