/**
 * Runs one program to its end and hands back what it printed. For short commands (`ip`, `mount`, `kubectl`, a `curl` in
 * a pod); programs that live on are `process.ts`.
 */
import { spawn } from 'node:child_process';
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

/** Never rejects because the program failed: only when it cannot be started. */
export function tryCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = placed(argv, options);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: programEnvironment(options.env),
      ...(options.signal && { signal: options.signal, killSignal: 'SIGKILL' }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let timedOut = false;
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(expire, options.timeoutMs);
    function expire(): void {
      timedOut = true;
      child.kill('SIGKILL');
    }
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => {}); // The program may end without reading all of it; its exit code tells.
    child.stdin?.end(options.input);
    child.once('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`Cannot run '${argv.join(' ')}': ${cause.message}`, { cause }));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      const stderr = Buffer.concat(err).toString();
      resolve({ code: timedOut ? 124 : (code ?? 137), stdout: Buffer.concat(out).toString(), stderr });
    });
  });
}

/** As `tryCommand`, but a failing program rejects with what it said. Resolves with its standard output. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(argv, options);
  if (code === 0) return stdout;
  const said = (stderr || stdout).trim();
  throw new Error(`Cannot run '${argv.join(' ')}': expected exit code 0: current value is ${code}: ${said}`);
}
