/**
 * Runs one program to its end and hands back what it printed. For short commands (`ip`, `mount`, `kubectl`, a `curl` in
 * a pod); programs that live on are `program.ts`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { programEnvironment } from './environment.ts';
import { type Placement, placed } from './placement.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions extends Placement {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Killed after so long; then the code is 124, as with timeout(1). */
  readonly timeoutMs?: number;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Never rejects because the program failed: only when it cannot be started. */
export function tryCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = placed(argv, options);
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const child = spawn(file, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: programEnvironment(options.env),
    detached: true, // A process group of its own, so that its children can be ended with it.
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin?.on('error', () => {}); // The program may end without reading all of it; its exit code tells.
  child.stdin?.end(options.input);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, options.timeoutMs ?? MAX_TIMER_MS);
  const abort = (): void => killGroup(child);
  options.signal?.addEventListener('abort', abort);
  const settle = (): void => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  };
  child.once('error', (cause) => {
    settle();
    reject(new Error(`Cannot run '${argv.join(' ')}': ${cause.message}`, { cause }));
  });
  child.once('close', (code) => {
    settle();
    const [stdout, stderr] = [out, err].map((chunks) => Buffer.concat(chunks).toString()) as [string, string];
    resolve({ code: timedOut ? 124 : (code ?? 137), stdout, stderr });
  });
  return promise;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** As `tryCommand`, but a failing program rejects with what it said. Resolves with its standard output. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(argv, options);
  if (code === 0) return stdout;
  const said = (stderr || stdout).trim();
  throw new Error(`Cannot run '${argv.join(' ')}': expected exit code 0: current value is ${code}: ${said}`);
}
