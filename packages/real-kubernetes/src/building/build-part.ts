/**
 * Builds one part. The Go compiler's own cache keeps every package that was compiled, so that a build which is
 * interrupted goes on where it was.
 */
import { spawn } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { command } from '@tombolo/machine/command.ts';
import { programEnvironment } from '@tombolo/machine/environment.ts';
import { digestOf, makeOnce } from './cache.ts';
import type { Go } from './go.ts';
import type { GoProgram, Part } from './parts.ts';
import type { Progress } from './progress.ts';

const SOURCES = join(import.meta.dirname, '../../go');

/** The name of its directory in the cache; the same sources have the same. */
export async function cacheNameOf(part: Part): Promise<string> {
  const locks = part.module === '' ? [part.modfile] : [part.modfile, part.modfile.replace(/mod$/, 'sum')];
  const files = [...locks, ...(part.sources ?? [])].map((file) => join(SOURCES, part.folder, file));
  const digest = await digestOf(files, process.arch);
  return `${part.name.replaceAll(' ', '-')}-${await versionOf(part)}-${digest}`;
}

/** As its go.mod says. */
async function versionOf({ folder, modfile, module }: Part): Promise<string> {
  const text = await readFile(join(SOURCES, folder, modfile), 'utf8');
  return (
    text
      .split('\n')
      .find((line) => line.includes(`${module} v`))
      ?.match(/ (v\S+)/)?.[1] ?? 'v1'
  );
}

export async function buildPart(part: Part, go: Go, progress: Progress): Promise<string> {
  const build = async (directory: string): Promise<void> => {
    for (const program of part.programs) await buildProgram(part, program, directory, go, progress);
    const [first] = part.programs;
    for (const link of part.links ?? []) await symlink(first?.file ?? '', join(directory, link));
  };
  return makeOnce(await cacheNameOf(part), build, () => progress.say(`waiting: another run builds ${part.name}`));
}

async function buildProgram(
  part: Part,
  program: GoProgram,
  directory: string,
  go: Go,
  progress: Progress,
): Promise<void> {
  const folder = join(SOURCES, part.folder);
  const env = {
    CGO_ENABLED: '0',
    GOTOOLCHAIN: 'local',
    GOFLAGS: `-modfile=${part.modfile} -mod=readonly`,
    ...goPlaces(),
  };
  const inFolder = ['env', '-C', folder, go.path];
  const version = await versionOf(part);
  const variables = Object.entries(part.variables ?? {}).map(
    ([name, value]) => `-X ${name}=${value.replace('VERSION', version)}`,
  );
  const list = await command([...inFolder, 'list', '-deps', ...(program.test ? ['-test'] : []), program.package], {
    env,
  });
  const total = list.trim().split('\n').length;
  const verb = program.test ? ['test', '-c'] : ['build'];
  const flags = [
    '-v',
    '-trimpath',
    '-ldflags',
    ['-s', '-w', ...variables].join(' '),
    '-o',
    join(directory, program.file),
  ];
  const step = progress.step(`${part.name}: ${program.file}`, total);
  await compile([...inFolder, ...verb, ...flags, program.package], env, () => step.advance());
  step.done();
}

/** With -v the compiler prints the name of each package that it had to compile. */
function compile(argv: readonly string[], env: Readonly<Record<string, string>>, compiled: () => void): Promise<void> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: programEnvironment(env) });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (/^[\w./-]+(\s\[.*\])?$/.test(line)) compiled();
    else if (!line.startsWith('go: downloading')) said.push(line);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else
        reject(new Error(`Cannot build with '${argv.join(' ')}': exit code ${code}:\n${said.slice(-30).join('\n')}`));
    });
  });
}

/** Proxies and caches are the user's to set. */
export function goPlaces(): Record<string, string> {
  const names = [
    'GOPROXY',
    'GOSUMDB',
    'GONOSUMDB',
    'GOMODCACHE',
    'GOCACHE',
    'GOPATH',
    'HTTPS_PROXY',
    'https_proxy',
    'XDG_CACHE_HOME',
  ];
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
