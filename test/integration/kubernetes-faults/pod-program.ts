/**
 * The clustermesh-apiserver as a pod runs it: a process whose way to the API server is in the environment, and whose
 * service account is a projected volume at the place where Kubernetes mounts it, which only this process sees.
 */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCgroup } from '@tombolo/machine/cgroup.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { Program } from '@tombolo/machine/program.ts';

/** Written as kubelet does: a new directory, and one link that is switched to it, so that nobody sees half of it. */
export class ProjectedVolume {
  readonly directory: string;
  #version = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    const data = `..version-${++this.#version}`;
    await mkdir(join(this.directory, data), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(this.directory, data, name), text);
      await symlink(`..data/${name}`, join(this.directory, name)).catch(() => {}); // There since the first time.
    }
    await symlink(data, join(this.directory, '..data_tmp'));
    await rename(join(this.directory, '..data_tmp'), join(this.directory, '..data'));
    await rm(join(this.directory, `..version-${this.#version - 1}`), { recursive: true, force: true });
  }
}

export interface PodOptions {
  readonly volume: ProjectedVolume;
  readonly port: number;
  readonly etcd: string;
  readonly cgroup: string;
  readonly logFile: string;
}

const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export async function startPod({ volume, port, etcd, cgroup, logFile }: PodOptions): Promise<Program> {
  const main = join(REPOSITORY, 'packages/clustermesh-apiserver/src/main.ts');
  const flags = ['--cluster-name=east', '--cluster-id=1', '--health-port=0', `--etcd-endpoints=${etcd}`];
  const script = [
    'mount -t tmpfs pod /run', // So that the mount point is made there, and not on the machine.
    `mkdir -p ${MOUNT}`,
    `mount --bind ${volume.directory} ${MOUNT}`,
    `exec ${process.execPath} ${main} ${flags.join(' ')}`,
  ];
  const program = new Program({
    name: 'clustermesh-apiserver in a pod',
    argv: ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script.join('\n')],
    cgroup: await createCgroup(cgroup),
    logFile,
    env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: `${port}` },
  });
  await program.start();
  return program;
}
