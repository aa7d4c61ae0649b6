/** When a program of the mesh counts as up. One that has died is reported at once, with the end of its log. */
import { tryCommand } from './command.ts';
import type { Program } from './program.ts';
import { waitUntil } from './wait.ts';

const START_TIMEOUT_MS = 60_000;

/** Asks from inside the namespace: nothing outside can reach these addresses. */
export async function httpReady(netns: string, url: string): Promise<true> {
  const { code, stdout, stderr } = await tryCommand(['curl', '-sSf', '--max-time', '2', '-o', '-', url], { netns });
  if (code !== 0) throw new Error((stdout || stderr).trim());
  return true;
}

/** `check` may throw, which means "not yet". */
export async function programReady(program: Program, check: () => Promise<boolean>): Promise<void> {
  const dead = async () => new Error(`Cannot start ${program.name}: it ended:\n${await program.logTail()}`);
  const outcome = await waitUntil<true | Error>(
    `${program.name} to be ready`,
    async () => (program.running ? await check() : await dead()),
    { timeoutMs: START_TIMEOUT_MS, everyMs: 150 },
  ).catch(async (cause: Error) => new Error(`${cause.message}\n${await program.logTail()}`, { cause }));
  if (outcome instanceof Error) throw outcome;
}
