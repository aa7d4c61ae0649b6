/** The images that the lab's pods and Kubernetes' own tests run. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { SANDBOX_IMAGE } from '../run/containerd-config.ts';
import { writeImageArchive } from './image-archive.ts';
import { addBusybox, addFiles, addPrograms } from './image-roots.ts';

const NAMES = 'hosts: files dns\n';
const PROGRAMS = join(REPOSITORY, 'packages/machine/src/programs');

/** `pause` is what `go/pause` makes. */
export async function writeLabImages(pause: string, file: string, work: string): Promise<void> {
  const [pauseRoot, echoRoot, clientRoot] = ['pause', 'echo', 'client'].map((name) => `${work}/${name}`) as [
    string,
    string,
    string,
  ];
  await addFiles(pauseRoot, { [pause]: '/pause' });
  await addPrograms(echoRoot, { [process.execPath]: '/usr/bin/node' });
  for (const name of ['echo.ts', 'identity.ts'])
    await addFiles(echoRoot, { [join(PROGRAMS, name)]: `/programs/${name}` });
  await writeFile(`${echoRoot}/programs/package.json`, '{"type":"module"}\n');
  await addFiles(clientRoot, { [pause]: '/pause' });
  await addBusybox(clientRoot, ['wget', 'nslookup']); // A static libc cannot look up names.
  await addPrograms(clientRoot, { [find('curl')]: '/usr/bin/curl' });
  await mkdir(`${clientRoot}/etc`);
  await writeFile(`${clientRoot}/etc/nsswitch.conf`, NAMES);
  const images = [
    { names: [SANDBOX_IMAGE], root: pauseRoot, entrypoint: ['/pause'] },
    { names: ['docker.io/library/echo:1'], root: echoRoot, entrypoint: ['/usr/bin/node', '/programs/echo.ts'] },
    { names: ['docker.io/library/client:1'], root: clientRoot, entrypoint: ['/pause'] },
  ];
  await writeImageArchive(images, file, `${work}/archive`);
}

/** What the tests call `wget`, `nc` and `sh` must not be busybox's, which differ from what they expect. */
const TOOLS = ['bash', 'curl', 'dig', 'getent', 'host', 'ip', 'nc.openbsd', 'nslookup', 'socat', 'ss', 'wget'];

export interface TestPrograms {
  readonly agnhost: string;
  /** It serves names in pods of the DNS tests. */
  readonly coredns: string;
}

/** agnhost, under the names by which the tests ask for it. */
export async function writeTestImages(
  { agnhost, coredns }: TestPrograms,
  names: readonly string[],
  file: string,
  work: string,
): Promise<void> {
  const root = `${work}/agnhost`;
  await addFiles(root, { [agnhost]: '/agnhost', [coredns]: '/coredns' });
  await symlink('agnhost', `${root}/agnhost-2`);
  await addBusybox(root, ['sh', 'nc', 'ip', 'wget', 'nslookup', 'bash', 'ss']);
  await addPrograms(root, { '/bin/dash': '/bin/sh' });
  for (const tool of TOOLS) await addPrograms(root, { [find(tool)]: `/usr/bin/${tool}` });
  await symlink('nc.openbsd', `${root}/usr/bin/nc`);
  await mkdir(`${root}/tmp`);
  await chmod(`${root}/tmp`, 0o1777);
  await mkdir(`${root}/uploads`);
  await addFiles(root, { '/etc/ssl/certs/ca-certificates.crt': '/etc/ssl/certs/ca-certificates.crt' });
  await writeFile(`${root}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n');
  await writeFile(`${root}/etc/nsswitch.conf`, NAMES);
  await writeFile(`${root}/etc/group`, 'root:x:0:\nuser:x:1000:\n');
  await writeImageArchive([{ names, root, entrypoint: ['/agnhost'], args: ['pause'] }], file, `${work}/archive`);
}

/** MetalLB's programs, under the names that its manifests have. */
export async function writeMetallbImages(
  programs: Readonly<Record<'controller' | 'speaker', string>>,
  version: string,
  file: string,
  work: string,
): Promise<void> {
  const images = Object.entries(programs).map(async ([name, path]) => {
    const root = `${work}/${name}`;
    await addFiles(root, { [path]: `/${name}` });
    return { names: [`quay.io/metallb/${name}:${version}`], root, entrypoint: [`/${name}`] };
  });
  await writeImageArchive(await Promise.all(images), file, `${work}/archive`);
}

function find(program: string): string {
  const directories = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const path = directories.map((directory) => `${directory}/${program}`).find((each) => existsSync(each));
  if (path !== undefined) return path;
  throw new Error(`Cannot make the tests' image: expected '${program}' in ${directories}: it is not there`);
}
