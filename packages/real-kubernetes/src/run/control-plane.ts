/**
 * The control plane of one cluster as programs: etcd, API server, controller manager, scheduler, and CoreDNS where there
 * are nodes. In a namespace of its own, or on loopback for those who only need an API.
 */
import { mkdir } from 'node:fs/promises';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import { Program, type ProgramSpec } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { Binaries } from './binaries.ts';
import { type ControlPlanePlan, serverUrl } from './control-plane-plan.ts';
import { type Credentials, issueCredentials } from './credentials.ts';

export class ControlPlane {
  readonly plan: ControlPlanePlan;
  readonly etcd: Program;
  readonly apiserver: Program;
  readonly controllerManager: Program;
  readonly scheduler: Program;
  readonly credentials: Credentials;

  private constructor(plan: ControlPlanePlan, binaries: Binaries, credentials: Credentials) {
    this.plan = plan;
    this.credentials = credentials;
    this.etcd = new Program(etcdSpec(plan, binaries));
    this.apiserver = new Program(apiserverSpec(plan, binaries, credentials));
    this.controllerManager = new Program(controllerManagerSpec(plan, binaries, credentials));
    this.scheduler = new Program(schedulerSpec(plan, binaries, credentials));
  }

  /** Makes the certificates and kubeconfigs; starts nothing. */
  static async prepare(plan: ControlPlanePlan, binaries: Binaries): Promise<ControlPlane> {
    await mkdir(plan.directory, { recursive: true });
    const credentials = await issueCredentials(plan);
    return new ControlPlane(plan, binaries, credentials);
  }

  get programs(): readonly Program[] {
    return [this.etcd, this.apiserver, this.controllerManager, this.scheduler];
  }

  get server(): string {
    return serverUrl(this.plan);
  }

  /**
   * The controllers follow when the API server answers: they would give up on one that takes longer than 10 s. `client` is
   * for those who cannot reach its address.
   */
  async start(client = this.client()): Promise<void> {
    await Promise.all([this.etcd.start(), this.apiserver.start()]);
    await this.#until('to answer', () => client.getText('/readyz'));
    await Promise.all([this.controllerManager.start(), this.scheduler.start()]);
  }

  /** It answers and takes Pods: those need a ServiceAccount, which the controllers make. */
  async ready(client = this.client()): Promise<void> {
    await this.#until('to take Pods', async () => {
      await client.getText('/readyz');
      await client.get('/api/v1/namespaces/default/serviceaccounts/default');
    });
  }

  async #until(what: string, holds: () => Promise<unknown>): Promise<void> {
    const outcome = await waitUntil(
      `the API server of ${this.plan.cluster} ${what}`,
      async () => {
        const ended = this.programs.find((program) => program.started && !program.running);
        if (ended) return new Error(`Cannot go on: ${ended.name} ended:\n${await ended.logTail()}`);
        await holds();
        return true;
      },
      { timeoutMs: 90_000, everyMs: 100 },
    );
    if (outcome instanceof Error) throw outcome;
  }

  client(): KubernetesClient {
    const { address, port } = this.plan;
    return new KubernetesClient({ host: address, port, tls: this.credentials.admin });
  }

  /** At once, and whatever hangs on them; the API server would drain for a minute. */
  async kill(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.kill()));
  }
}

function spec(plan: ControlPlanePlan, name: string, argv: readonly string[]): ProgramSpec {
  const { netns, cgroup, directory } = plan;
  return { name, argv, netns, cgroup: `${cgroup}/${name}`, logFile: `${directory}/${name}.log` };
}

function etcdSpec(plan: ControlPlanePlan, { etcd }: Binaries): ProgramSpec {
  const [client, peer] = [plan.etcdPorts.client, plan.etcdPorts.peer].map((port) => `http://127.0.0.1:${port}`);
  return spec(plan, 'kubernetes-etcd', [
    ...[etcd, '--name=kubernetes', `--data-dir=${plan.directory}/etcd`],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=kubernetes=${peer}`],
    ...['--heartbeat-interval=20', '--election-timeout=200', '--unsafe-no-fsync', '--log-level=warn'],
  ]);
}

function apiserverSpec(plan: ControlPlanePlan, { kubeApiserver }: Binaries, credentials: Credentials): ProgramSpec {
  const { address, port, serviceCidrs, etcdPorts, apiserverFlags = [] } = plan;
  const { pki, server, kubeletClient, serviceAccountKey } = credentials;
  return spec(plan, 'kube-apiserver', [
    ...[kubeApiserver, `--bind-address=${address}`, `--secure-port=${port}`],
    `--advertise-address=${advertised(address)}`,
    ...[`--etcd-servers=http://127.0.0.1:${etcdPorts.client}`, `--service-cluster-ip-range=${serviceCidrs}`],
    ...[`--client-ca-file=${pki.ca}`, `--tls-cert-file=${server.cert}`, `--tls-private-key-file=${server.key}`],
    ...[`--kubelet-client-certificate=${kubeletClient.cert}`, `--kubelet-client-key=${kubeletClient.key}`],
    '--kubelet-preferred-address-types=InternalIP',
    ...[`--service-account-key-file=${serviceAccountKey}`, `--service-account-signing-key-file=${serviceAccountKey}`],
    '--service-account-issuer=https://kubernetes.default.svc',
    ...['--authorization-mode=Node,RBAC', '--allow-privileged=true', '--enable-aggregator-routing=true'],
    ...['--profiling=false', '--shutdown-delay-duration=0s', ...apiserverFlags],
  ]);
}

/** It refuses to advertise loopback; an address for documentation leads nowhere (RFC 5737, RFC 3849). */
function advertised(address: string): string {
  if (address === '127.0.0.1') return '192.0.2.1';
  return address === '::1' ? '2001:db8::1' : address;
}

function controllerManagerSpec(plan: ControlPlanePlan, binaries: Binaries, credentials: Credentials): ProgramSpec {
  const { pki, serviceAccountKey, kubeconfigs } = credentials;
  return spec(plan, 'kube-controller-manager', [
    ...[binaries.kubeControllerManager, `--kubeconfig=${kubeconfigs.controllerManager}`, '--leader-elect=false'],
    ...[`--service-account-private-key-file=${serviceAccountKey}`, `--root-ca-file=${pki.ca}`],
    ...[`--cluster-signing-cert-file=${pki.ca}`, `--cluster-signing-key-file=${pki.caKey}`],
    ...['--use-service-account-credentials=false', '--kube-api-qps=500', '--kube-api-burst=1000'],
    ...['--secure-port=0', '--profiling=false', ...(plan.controllerFlags ?? [])],
  ]);
}

function schedulerSpec(plan: ControlPlanePlan, { kubeScheduler }: Binaries, { kubeconfigs }: Credentials): ProgramSpec {
  const argv = [kubeScheduler, `--kubeconfig=${kubeconfigs.scheduler}`, '--leader-elect=false', '--secure-port=0'];
  return spec(plan, 'kube-scheduler', argv);
}
