/** Root directories of images, put together from programs of this machine and the libraries that they load. */
import { copyFile, cp, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { command, tryCommand } from '@tombolo/machine/command.ts';

/** From a file of this machine to a path in the image. */
export type Files = Readonly<Record<string, string>>;

export async function addFiles(root: string, files: Files): Promise<void> {
  for (const [from, to] of Object.entries(files)) {
    await mkdir(dirname(`${root}${to}`), { recursive: true });
    await cp(from, `${root}${to}`, { recursive: true, dereference: true });
  }
}

/** Programs at the paths that they have here, or as the map says, with what ldd names for them. */
export async function addPrograms(root: string, programs: Files): Promise<void> {
  await addFiles(root, programs);
  for (const from of Object.keys(programs))
    for (const library of await librariesOf(from)) {
      await mkdir(dirname(`${root}${library}`), { recursive: true });
      await copyFile(await realpath(library), `${root}${library}`);
    }
}

/** busybox-static of Debian, with a link for each of its commands but those named. */
export async function addBusybox(root: string, without: readonly string[] = []): Promise<void> {
  const busybox = '/bin/busybox';
  await addFiles(root, { [busybox]: busybox });
  const commands = (await command([busybox, '--list'])).trim().split('\n');
  for (const name of commands.filter((name) => name !== 'busybox' && !without.includes(name)))
    await symlink('busybox', `${root}/bin/${name}`);
}

/** Absolute paths. None for a static program. */
async function librariesOf(program: string): Promise<readonly string[]> {
  const { code, stdout } = await tryCommand(['ldd', program]);
  return code === 0 ? [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path) : [];
}
