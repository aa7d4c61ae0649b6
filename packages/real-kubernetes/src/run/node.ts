/**
 * One node of a real cluster as programs: containerd, kubelet and, unless somebody serves Services in its place,
 * kube-proxy, in a network namespace and a mount namespace of the node's own.
 *
 * N1. A node has its own view of the places that a machine has one of: /sys/fs/bpf, /run/tombolo, /run/containerd,
 *     /var/lib/kubelet, … What its pods mount from there is the node's, and is gone with its last process.
 * N2. Its pods' control groups are below its own, in every hierarchy, so that an agent attached there sees its pods only.
 * N3. What kubelet demands of the kernel as a whole it is shown as fulfilled; nothing of the machine is set.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { command } from '@tombolo/machine/command.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import { Program, type ProgramSpec } from '@tombolo/machine/program.ts';
import { programReady } from '@tombolo/machine/readiness.ts';
import type { Binaries } from './binaries.ts';
import { cniConfig } from './cni.ts';
import { containerdConfig } from './containerd-config.ts';
import type { ControlPlane } from './control-plane.ts';
import { writeKubeconfig } from './credentials.ts';
import { kubeletConfig } from './kubelet-config.ts';
import { cgroupPathOf, createNodeCgroups } from './node-cgroups.ts';
import { createNodeMounts } from './node-mounts.ts';

export type Family = 'ipv4' | 'ipv6';
export type ProxyMode = 'nftables' | 'iptables';

export interface NodeOptions {
  readonly clusterDns: readonly string[];
  /** Absent: no kube-proxy. */
  readonly proxy?: ProxyMode | undefined;
  /** OCI archives whose images its containerd has from the start. */
  readonly images: readonly string[];
  /** The first is the primary one. */
  readonly families: readonly Family[];
  /** What containers get in their environment besides what their pods say. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class RealNode {
  readonly plan: NodePlan;
  readonly containerd: Program;
  readonly kubelet: Program;
  readonly proxy: Program | undefined;
  readonly #binaries: Binaries;
  readonly #options: NodeOptions;
  readonly #controlPlane: ControlPlane;

  constructor(plan: NodePlan, controlPlane: ControlPlane, binaries: Binaries, options: NodeOptions) {
    this.plan = plan;
    this.#binaries = binaries;
    this.#options = options;
    this.#controlPlane = controlPlane;
    this.containerd = new Program(containerdSpec(plan, binaries));
    this.kubelet = new Program(kubeletSpec(plan, binaries, options.families));
    this.proxy = options.proxy && new Program(proxySpec(plan, controlPlane, binaries, options));
  }

  get mounts(): string {
    return mountNamespace(this.plan);
  }

  /** Files, control groups and mounts; then containerd with its images. Needs no API server. */
  async prepare(): Promise<void> {
    const { directory } = this.plan;
    await mkdir(`${directory}/cni`, { recursive: true });
    await createNodeCgroups(this.plan.cgroup);
    await createNodeMounts(this.plan, this.mounts);
    const { families, clusterDns, environment = {} } = this.#options;
    const { credentials, server, plan } = this.#controlPlane;
    const baseSpec = await containerBaseSpec(this.#binaries, environment);
    await Promise.all([
      writeFile(`${directory}/base-spec.json`, JSON.stringify(baseSpec)),
      writeFile(`${directory}/containerd.toml`, containerdConfig(directory)),
      writeFile(`${directory}/cni/10-node.conflist`, cniConfig(this.plan, families)),
    ]);
    const { pki } = credentials;
    const client = await pki.issue(`system:node:${this.plan.name}`, undefined, 'system:nodes');
    const serving = await pki.issue(`kubelet-${this.plan.name}`, addressNames(this.plan));
    await writeKubeconfig(kubeletKubeconfig(directory), plan.cluster, server, { ca: pki.ca, ...client });
    const config = kubeletConfig({
      plan: this.plan,
      address: addressOf(this.plan, families[0] ?? 'ipv4'),
      clusterDns,
      ca: pki.ca,
      serving,
      cgroup: await cgroupPathOf(this.plan.cgroup),
    });
    await writeFile(`${directory}/kubelet.yaml`, config);
    await this.containerd.start();
    await programReady(this.containerd, async () => (await runCtr(this.plan, this.#binaries.ctr, ['version'])) !== '');
    await importImages(this.plan, this.#binaries.ctr, this.#options.images);
  }

  /** Needs the Node object in the API; see `node-object.ts`. */
  async start(): Promise<void> {
    await Promise.all([this.kubelet.start(), this.proxy?.start()]);
  }
}

/** Into the containerd of a node. */
export async function importImages(node: NodePlan, ctr: string, archives: readonly string[]): Promise<void> {
  for (const archive of archives) await runCtr(node, ctr, ['images', 'import', '--local', archive]);
}

const runCtr = (node: NodePlan, ctr: string, args: readonly string[]): Promise<string> =>
  command([ctr, '-a', containerdSocket(node.directory), '-n', 'k8s.io', ...args], { mounts: mountNamespace(node) });

const addressOf = ({ address, address6 }: NodePlan, family: Family): string => (family === 'ipv4' ? address : address6);

export const podCidrOf = ({ podCidr, podCidr6 }: NodePlan, family: Family): string =>
  family === 'ipv4' ? podCidr : podCidr6;

export const mountNamespace = (node: NodePlan): string => `${node.directory}.mounts`;
const containerdSocket = (directory: string): string => `${directory}/containerd.sock`;
const kubeletKubeconfig = (directory: string): string => `${directory}/kubelet.kubeconfig`;

function spec(node: NodePlan, name: string, argv: readonly string[]): ProgramSpec {
  const { netns, cgroup, directory } = node;
  return {
    name,
    argv,
    netns,
    mounts: mountNamespace(node),
    cgroup: `${cgroup}/system/${name}`,
    logFile: `${directory}/${name}.log`,
  };
}

function containerdSpec(node: NodePlan, { containerd, containerdShim }: Binaries): ProgramSpec {
  const { directory } = node;
  const argv = [containerd, '--config', `${directory}/containerd.toml`];
  return { ...spec(node, 'containerd', argv), env: pathWith(containerdShim), socket: containerdSocket(directory) };
}

/** containerd looks for its shim in the PATH. */
function pathWith(program: string): Record<string, string> {
  const directory = program.slice(0, program.lastIndexOf('/'));
  return { PATH: `${directory}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin` };
}

function kubeletSpec(node: NodePlan, { kubelet }: Binaries, families: readonly Family[]): ProgramSpec {
  const { directory } = node;
  return spec(node, 'kubelet', [
    ...[kubelet, `--kubeconfig=${kubeletKubeconfig(directory)}`, `--config=${directory}/kubelet.yaml`],
    ...[`--hostname-override=${node.name}`, `--root-dir=${directory}/kubelet`],
    `--node-ip=${families.map((family) => addressOf(node, family))}`,
  ]);
}

function proxySpec(
  node: NodePlan,
  { credentials }: ControlPlane,
  { kubeProxy }: Binaries,
  { proxy, families }: NodeOptions,
): ProgramSpec {
  return spec(node, 'kube-proxy', [
    ...[kubeProxy, `--kubeconfig=${credentials.kubeconfigs.proxy}`, `--hostname-override=${node.name}`],
    ...[`--proxy-mode=${proxy}`, '--conntrack-max-per-core=0', '--nodeport-addresses=primary'],
    ...['--detect-local-mode=NodeCIDR', `--cluster-cidr=${families.map((family) => podCidrOf(node, family))}`],
  ]);
}

const addressNames = ({ name, address, address6 }: NodePlan): string =>
  [`DNS:${name}`, ...[address, address6].filter(Boolean).map((each) => `IP:${each}`)].join(',');

/** containerd's own default for containers, with more in their environment. */
async function containerBaseSpec({ ctr }: Binaries, environment: Readonly<Record<string, string>>): Promise<object> {
  const spec = JSON.parse(await command([ctr, 'oci', 'spec'])) as { process: object };
  const env = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return { ...spec, process: { ...spec.process, env } };
}
