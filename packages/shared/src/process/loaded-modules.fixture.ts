/** Which modules a program has loaded when it could begin: what it takes to be there idle, in time and in memory. */
import { execFileSync } from 'node:child_process';

export interface LoadedModules {
  /** Paths of files, from `node_modules/` where they are below one. */
  readonly files: readonly string[];
  /** Names in `node_modules`. */
  readonly packages: ReadonlySet<string>;
  /** As Node names its own: `NativeModule internal/deps/undici/undici`. */
  readonly builtins: readonly string[];
}

const RECORDER = `
  import { writeSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const urls = new Set();
  registerHooks({ load: (url, context, nextLoad) => (urls.add(url), nextLoad(url, context)) });
  process.on('exit', () => writeSync(1, '\\n' + JSON.stringify({ urls: [...urls], builtins: process.moduleLoadList })));
`;

/** Runs `node ...args` to its end. */
export function modulesLoadedBy(...args: readonly string[]): LoadedModules {
  const recorder = `data:text/javascript,${encodeURIComponent(RECORDER)}`;
  const output = execFileSync(process.execPath, ['--import', recorder, ...args], { encoding: 'utf8' });
  const { urls, builtins }: { urls: string[]; builtins: string[] } = JSON.parse(output.split('\n').at(-1) ?? '');
  const files = urls
    .filter((url) => url.startsWith('file:'))
    .map((url) => url.replace(/^.*\/node_modules\//, 'node_modules/').replace('file://', ''));
  const packages = files.flatMap((file) => /^node_modules\/((@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []);
  return { files, packages: new Set(packages), builtins };
}
