/** Killing agents, again and again: how often, and when in their lives. `TOMBOLO_KILLS=100` for more than CI has time for. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export const KILLS = Number(process.env['TOMBOLO_KILLS'] ?? 12);

/** An agent is at work after half of it. */
const LIFE_MS = 900;

/** `ms` after it began, or after its first change. */
export interface Moment {
  readonly after: 'begin' | 'change';
  readonly ms: number;
}

/** Half of them in the middle of changes, half spread over the whole of a life, in no order. */
export const momentOf = (round: number): Moment =>
  round % 2 === 0
    ? { after: 'change', ms: (round * 5) % 61 }
    : { after: 'begin', ms: ((round * 17) % KILLS) * (LIFE_MS / KILLS) };

/** `started` is told of the process, for whoever has to end it if this breaks off. */
export async function killAt(
  { after, ms }: Moment,
  argv: readonly string[],
  started: (child: ChildProcess) => void = () => {},
): Promise<void> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  started(child);
  const exited = once(child, 'exit');
  if (after === 'change') await Promise.race([once(child.stdout, 'data'), exited]);
  child.stdout.resume();
  await Promise.race([sleep(ms), exited]);
  child.kill('SIGKILL');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
}
