/**
 * Where built parts are kept: outside the repository, in a directory for each part that is named for its version and a
 * digest of its sources. It appears whole or not at all; two who want the same part at once build it once.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isAlive, thisProcess } from '@tombolo/machine/owner.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

const A_DAY_MS = 86_400_000;

export const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tombolo/kubernetes');

/** Of files by path and content. */
export async function digestOf(files: readonly string[], ...more: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) hash.update(`${file.split('/').at(-1)}\0`).update(await readFile(file));
  for (const text of more) hash.update(`\0${text}`);
  return hash.digest('hex').slice(0, 12);
}

export const cached = (name: string): string | undefined =>
  existsSync(join(CACHE, name)) ? join(CACHE, name) : undefined;

/** The directory `name`, made by `make` in a directory that becomes it. `waiting` is called when another process is at it. */
export async function makeOnce(
  name: string,
  make: (directory: string) => Promise<void>,
  waiting: () => void = () => {},
): Promise<string> {
  const target = join(CACHE, name);
  await mkdir(CACHE, { recursive: true });
  const unlock = await lock(`${target}.lock`, waiting);
  try {
    if (existsSync(target)) return target;
    const draft = `${target}.draft`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft);
    await make(draft);
    await rename(draft, target);
    return target;
  } finally {
    await unlock();
  }
}

/** A lock whose holder has died is taken over. */
async function lock(file: string, waiting: () => void): Promise<() => Promise<void>> {
  const text = JSON.stringify(await thisProcess());
  let told = false;
  await waitUntil(
    `${file} to be released`,
    async () => {
      try {
        await writeFile(file, text, { flag: 'wx' });
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return error as Error;
      }
      if (!(await isAlive(await holderOf(file)))) await rm(file, { force: true });
      else if (!told) {
        told = true;
        waiting();
      }
      return false;
    },
    { everyMs: 200, timeoutMs: A_DAY_MS },
  ).then((outcome) => {
    if (outcome instanceof Error) throw outcome;
  });
  return () => rm(file, { force: true });
}

async function holderOf(file: string): Promise<Awaited<ReturnType<typeof thisProcess>>> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Names of what is there, for `scripts/kubernetes list`. */
export async function cachedNames(): Promise<readonly string[]> {
  const names = await readdir(CACHE).catch(() => []);
  return names.filter((name) => !/\.(lock|draft)$/.test(name)).sort();
}
