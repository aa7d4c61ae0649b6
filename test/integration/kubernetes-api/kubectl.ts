/**
 * The kubectl programs to test with: the one on the PATH, and Debian's old one, fetched once from the Debian archive into
 * `.tools/kubectl-1.20` (it cannot be installed beside a current one). Says which it found and which it skipped.
 */
import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = join(import.meta.dirname, '../../../.tools/kubectl-1.20');
const DEBIAN_KUBECTL = join(CACHE, 'usr/bin/kubectl');

export interface KubectlProgram {
  readonly label: string;
  /** Undefined when it is not there, with the reason in `skipped`. */
  readonly path: string | undefined;
  readonly skipped?: string;
}

export async function findKubectls(): Promise<KubectlProgram[]> {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => join(dir, 'kubectl'))
    .find(isExecutable);
  const first: KubectlProgram =
    onPath === undefined
      ? { label: 'kubectl on the PATH', path: undefined, skipped: 'no kubectl is on the PATH' }
      : { label: `kubectl ${await versionOf(onPath)}`, path: onPath };
  const debian = await debianKubectl();
  return first.path !== undefined && first.label === debian.label ? [first] : [first, debian];
}

async function debianKubectl(): Promise<KubectlProgram> {
  if (!isExecutable(DEBIAN_KUBECTL)) {
    try {
      await fetchDebianKubectl();
    } catch (error) {
      const skipped = `apt-get cannot download kubernetes-client: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
      return { label: "Debian's kubectl 1.20", path: undefined, skipped };
    }
  }
  return { label: `kubectl ${await versionOf(DEBIAN_KUBECTL)}`, path: DEBIAN_KUBECTL };
}

async function fetchDebianKubectl(): Promise<void> {
  const download = mkdtempSync(join(tmpdir(), 'tbl-kubectl-'));
  try {
    await run('apt-get', ['download', 'kubernetes-client'], { cwd: download });
    const [archive] = readdirSync(download).filter((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('no package came');
    mkdirSync(CACHE, { recursive: true });
    await run('dpkg', ['-x', join(download, archive), CACHE]);
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function versionOf(path: string): Promise<string> {
  const { stdout } = await run(path, ['version', '--client', '-o', 'json']);
  return (JSON.parse(stdout) as { clientVersion: { gitVersion: string } }).clientVersion.gitVersion;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One kubectl against one server, with caches of its own and nothing of the user's configuration. */
export class Kubectl {
  readonly #path: string;
  readonly #server: string;
  #environment: { readonly [name: string]: string } = {};
  readonly #home = mkdtempSync(join(tmpdir(), 'tbl-kubectl-home-'));

  constructor(path: string, server: string) {
    this.#path = path;
    this.#server = server;
  }

  close(): void {
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** Fails the test when kubectl fails. */
  async ok(args: string, input?: string): Promise<string> {
    const { code, stdout, stderr } = await this.try(args, input);
    if (code !== 0) throw new Error(`kubectl ${args} failed with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** `kubectl edit`, with sed in the place of a person. */
  async edit(what: string, sedScript: string): Promise<string> {
    const editor = join(this.#home, 'editor');
    writeFileSync(editor, `#!/bin/sh\nexec sed -i '${sedScript}' "$1"\n`, { mode: 0o755 });
    this.#environment = { KUBE_EDITOR: editor };
    return this.ok(`edit ${what}`);
  }

  /** Arguments are separated by spaces; single quotes keep one together. */
  async try(args: string, input?: string): Promise<Outcome> {
    const child = this.start(args);
    child.stdin.end(input ?? '');
    const texts = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? -1));
    });
    return { code, ...texts };
  }

  start(args: string) {
    const words = [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    const env = { ...process.env, ...this.#environment, HOME: this.#home, KUBECONFIG: '/dev/null' };
    return spawn(this.#path, ['--server', this.#server, ...words], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  }
}
