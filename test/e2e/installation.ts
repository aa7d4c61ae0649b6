/** Tombolo on the clusters of a mesh as its users install it: image, chart, Secrets, all by helm and kubectl. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterHandle } from '@tombolo/lab/mesh/cluster.ts';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { command } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { helmBinary } from '@tombolo/real-kubernetes/building/built.ts';
import { NODE_CGROUP } from '@tombolo/real-kubernetes/run/node-mounts.ts';

const CHART = join(REPOSITORY, 'deploy/chart');
const NAMESPACE = 'tombolo';

export interface Release {
  readonly chart: string;
  /** An OCI archive. */
  readonly image: string;
}

/** This version, and one that is the same but for its number: there are no two releases yet to go between. */
export async function buildReleases(directory: string): Promise<{ readonly first: Release; readonly second: Release }> {
  await mkdir(directory, { recursive: true });
  const first = { chart: CHART, image: `${directory}/first.tar` };
  const second = { chart: `${directory}/chart`, image: `${directory}/second.tar` };
  const image = join(REPOSITORY, 'scripts/image');
  const env = process.env as Record<string, string>; // What reaches its registries may be set there.
  await command([image, '--output', first.image], { env });
  await command([image, '--output', second.image, '--tag', 'docker.io/tombolo/tombolo:0.1.999'], { env });
  await cp(CHART, second.chart, { recursive: true });
  const file = `${second.chart}/Chart.yaml`;
  const text = await readFile(file, 'utf8');
  await writeFile(
    file,
    text.replace(/^version: .*$/m, 'version: 0.1.999').replace(/^appVersion: .*$/m, 'appVersion: 0.1.999'),
  );
  return { first, second };
}

export class Installation {
  readonly #mesh: Mesh;

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
  }

  async install({ name, plan }: ClusterHandle, { chart }: Release): Promise<string> {
    const values = [`cluster.name=${name}`, `cluster.id=${plan.id}`, `nodeAgent.cgroupPath=${NODE_CGROUP}`];
    const flags = ['--namespace', NAMESPACE, '--create-namespace', '--wait', '--timeout', '3m'];
    return this.helm(name, ['install', 'tombolo', chart, ...flags, ...values.flatMap((value) => ['--set', value])]);
  }

  /** With --wait it returns when the pods of the new version are ready. */
  async upgrade({ name }: ClusterHandle, { chart }: Release): Promise<void> {
    const flags = ['--namespace', NAMESPACE, '--reset-then-reuse-values', '--wait', '--timeout', '5m'];
    await this.helm(name, ['upgrade', 'tombolo', chart, ...flags]);
  }

  async rollback({ name }: ClusterHandle): Promise<void> {
    await this.helm(name, ['rollback', 'tombolo', '--namespace', NAMESPACE, '--wait', '--timeout', '5m']);
  }

  async uninstall({ name }: ClusterHandle): Promise<void> {
    await this.helm(name, ['uninstall', 'tombolo', '--namespace', NAMESPACE, '--wait', '--timeout', '5m']);
  }

  /** Lets `other` use `cluster`, by the very command that helm printed when it was installed. */
  async handOver(notes: string, other: ClusterHandle): Promise<void> {
    const lines = notes.split('\n');
    const start = lines.findIndex((line) => /^ +kubectl --context \S+ -n \S+ get secret tombolo-remote-/.test(line));
    const text = lines
      .slice(start, start + 2)
      .join('\n')
      .replace('OTHER', other.name);
    await command(['sh', '-ec', text], { env: { KUBECONFIG: this.#mesh.plan.kubeconfig } });
  }

  /** `tombolo ARGS` in the agent's pod of a node. */
  async tombolo(cluster: ClusterHandle, node: string, args: readonly string[]): Promise<string> {
    const pod = await this.agentPod(cluster, node);
    return cluster.kubectl(['-n', NAMESPACE, 'exec', pod, '--', 'tombolo', ...args]);
  }

  async agentPod(cluster: ClusterHandle, node: string): Promise<string> {
    const selectors = ['-l', 'app.kubernetes.io/component=node-agent', '--field-selector', `spec.nodeName=${node}`];
    return (await cluster.kubectl(['-n', NAMESPACE, 'get', 'pods', ...selectors, '-o', 'name'])).trim();
  }

  async helm(context: string, args: readonly string[]): Promise<string> {
    const env = {
      KUBECONFIG: this.#mesh.plan.kubeconfig,
      HELM_CACHE_HOME: `${this.#mesh.plan.directory}/helm/cache`,
      HELM_CONFIG_HOME: `${this.#mesh.plan.directory}/helm/config`,
      HELM_DATA_HOME: `${this.#mesh.plan.directory}/helm/data`,
    };
    return command([await helmBinary(), '--kube-context', context, ...args], { env });
  }
}
