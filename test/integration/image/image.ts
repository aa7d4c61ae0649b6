/**
 * The image as scripts/image makes it, unpacked: what a runtime would lay out, taken from the archive itself. IMAGE_ARCH
 * chooses another architecture than this machine's.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { command } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';

export const MACHINE_ARCH = process.arch === 'x64' ? 'amd64' : process.arch;
/** The start of a room's name; then comes whose it is. */
export const ROOM = 'tbl-image-';
const ARCH = process.env['IMAGE_ARCH'] ?? MACHINE_ARCH;

const readJsonOf = (file: string) => JSON.parse(readFileSync(join(REPOSITORY, file), 'utf8'));
export const VERSION: string = readJsonOf('package.json').version;
export const DEVELOPMENT: readonly string[] = Object.keys(readJsonOf('package.json').devDependencies);
export const NODE_VERSION: string = readJsonOf('package-lock.json').packages['node_modules/node'].version;

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly config: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Cmd: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
    readonly Entrypoint?: readonly string[];
  };
}

export interface Image {
  readonly arch: string;
  readonly name: string | undefined;
  readonly config: ImageConfig;
  readonly archiveBytes: number;
  /** Its file system. */
  readonly root: string;
  /** A folder for what tests put beside it. */
  readonly room: string;
  /** The list of contents that lies beside the archive. */
  readonly listBeside: string;
  remove(): Promise<void>;
}

export async function buildImage(): Promise<Image> {
  const room = await mkdtemp(join(tmpdir(), `${ROOM}${process.pid}-`));
  const remove = (): Promise<void> => rm(room, { recursive: true, force: true });
  try {
    const archive = join(room, 'image.tar');
    // With the environment of the user, whose proxies and cache it is to use.
    await promisify(execFile)(join(REPOSITORY, 'scripts/image'), ['--arch', ARCH, '--output', archive]);
    const [layout, root] = [join(room, 'layout'), join(room, 'root')];
    await Promise.all([mkdir(layout), mkdir(root)]);
    await command(['tar', '-xf', archive, '-C', layout]);
    const blob = ({ digest }: Descriptor): string => join(layout, 'blobs', digest.replace(':', '/'));
    const readJson = async <T>(file: string): Promise<T> => JSON.parse(await readFile(file, 'utf8'));

    const { manifests } = await readJson<{ manifests: readonly [Descriptor] }>(join(layout, 'index.json'));
    const manifest = await readJson<{ config: Descriptor; layers: readonly Descriptor[] }>(blob(manifests[0]));
    for (const layer of manifest.layers) await command(['tar', '-xzpf', blob(layer), '-C', root]);
    return {
      arch: ARCH,
      name: manifests[0].annotations?.['org.opencontainers.image.ref.name'],
      config: await readJson<ImageConfig>(blob(manifest.config)),
      archiveBytes: (await stat(archive)).size,
      root,
      room,
      listBeside: await readFile(join(room, 'image.spdx.json'), 'utf8'),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
