/**
 * A program of the image, run by runc as a pod's would be: as the image's user or as root with exactly the capabilities
 * named, without new privileges, in namespaces of its own, on a root file system that cannot be written. Its network is a
 * loopback and nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CommandResult, tryCommand } from '@tombolo/machine/command.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { Image } from './image.ts';

export interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface ContainerOptions {
  /** As root with these, instead of as the image's user with none. */
  readonly capabilities?: readonly string[];
  readonly mounts?: readonly Mount[];
}

/** Where another mount lies over the root, runc would leave it over that of the container. */
const IN_OWN_ROOT = fileURLToPath(import.meta.resolve('@tombolo/machine/in-own-root.sh'));
const BUNDLE = 'tbl-container-';

export class Container {
  readonly #child: ChildProcess;
  readonly #runc: readonly string[];
  readonly #id: string;
  readonly #bundle: string;
  #said = '';

  constructor(bundle: string) {
    this.#bundle = bundle;
    this.#id = basename(bundle);
    this.#runc = ['runc', '--root', join(bundle, 'state')];
    this.#child = spawn(IN_OWN_ROOT, [...this.#runc, 'run', '--bundle', bundle, this.#id], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (part) => {
        this.#said += String(part);
      });
  }

  /** What it has printed so far. */
  get said(): string {
    return this.#said;
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async untilSaid(text: string): Promise<void> {
    await waitUntil(`the program to say ${text}`, () => this.#said.includes(text) || this.#ended);
    if (!this.#said.includes(text)) throw new Error(`Cannot wait for '${text}': the program has ended: ${this.#said}`);
  }

  /** Another program in the same container. */
  exec(argv: readonly string[]): Promise<CommandResult> {
    return tryCommand([...this.#runc, 'exec', this.#id, ...argv]);
  }

  /** The exit code. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    const closed = this.#ended ? undefined : once(this.#child, 'close');
    if (signal) this.#child.kill(signal); // runc hands it on.
    await closed;
    return this.#child.exitCode;
  }

  async remove(): Promise<void> {
    await removeContainer(this.#bundle);
    await this.end();
  }
}

async function removeContainer(bundle: string): Promise<void> {
  await tryCommand(['runc', '--root', join(bundle, 'state'), 'delete', '--force', basename(bundle)]);
}

/** Those that a killed run left in the room of its image. */
export async function removeContainers(room: string): Promise<void> {
  for (const name of await readdir(room)) if (name.startsWith(BUNDLE)) await removeContainer(join(room, name));
}

export async function startContainer(
  { root, room, config }: Image,
  argv: readonly string[],
  { capabilities, mounts = [] }: ContainerOptions = {},
): Promise<Container> {
  const bundle = await mkdtemp(join(room, BUNDLE));
  await mkdir(join(bundle, 'state'));
  const granted = capabilities ?? [];
  const [uid = 0, gid = 0] = capabilities ? [] : config.config.User.split(':').map(Number);
  const spec = {
    ociVersion: '1.0.2',
    process: {
      user: { uid, gid },
      args: argv,
      env: config.config.Env,
      cwd: '/',
      noNewPrivileges: true,
      capabilities: { bounding: granted, effective: granted, permitted: granted },
    },
    root: { path: root, readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      ...mounts,
    ],
    linux: {
      cgroupsPath: `/${basename(bundle)}`,
      namespaces: ['pid', 'mount', 'network', 'ipc', 'uts'].map((type) => ({ type })),
    },
  };
  await writeFile(join(bundle, 'config.json'), JSON.stringify(spec));
  return new Container(bundle);
}
