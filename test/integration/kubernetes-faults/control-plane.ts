/** A real control plane without nodes that goes through what operators do to theirs, with someone allowed what we are. */
import { cp, readFile, rm } from 'node:fs/promises';
import { command } from '@tombolo/machine/command.ts';
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import { Program } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import type { ControlPlane } from '@tombolo/real-kubernetes/run/control-plane.ts';
import { writeKubeconfig } from '@tombolo/real-kubernetes/run/credentials.ts';
import {
  type LoopbackControlPlane,
  type LoopbackOptions,
  startLoopbackControlPlane,
} from '@tombolo/real-kubernetes/run/loopback.ts';
import type { Upstream } from './fault-proxy.ts';

const READABLE = [
  ...['services', 'namespaces', 'nodes', 'pods'],
  'endpointslices.discovery.k8s.io',
  'servicecidrs.networking.k8s.io',
];

export class TroubledControlPlane {
  readonly loopback: LoopbackControlPlane;
  apiserver: Program;
  /** Of an administrator. */
  api: KubernetesClient;

  private constructor(loopback: LoopbackControlPlane) {
    this.loopback = loopback;
    this.apiserver = loopback.controlPlane.apiserver;
    this.api = loopback.controlPlane.client();
  }

  static async start(options: LoopbackOptions): Promise<TroubledControlPlane> {
    const started = new TroubledControlPlane(await startLoopbackControlPlane(options));
    await started.grant();
    return started;
  }

  async grant(): Promise<void> {
    const role = ['clusterrole', 'tombolo', '--verb=list,watch', `--resource=${READABLE}`];
    await this.kubectl('create', ...role);
    const election = ['role', 'tombolo', '-n', 'kube-system', '--verb=get,create,update,delete'];
    await this.kubectl('create', ...election, '--resource=leases.coordination.k8s.io');
    await this.bind('tombolo', '--user=tombolo');
  }

  /** Lets somebody do what we may. */
  async bind(name: string, subject: string): Promise<void> {
    await this.kubectl('create', 'clusterrolebinding', name, '--clusterrole=tombolo', subject);
    await this.kubectl('create', 'rolebinding', name, '-n', 'kube-system', '--role=tombolo', subject);
  }

  get controlPlane(): ControlPlane {
    return this.loopback.controlPlane;
  }

  get directory(): string {
    return this.loopback.directory;
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return command([this.loopback.kubectl, '--kubeconfig', this.loopback.kubeconfig, ...args]);
  }

  /** A kubeconfig of one who may do what our programs may, by a role: while the API server does not know it yet, nothing. */
  async kubeconfig(): Promise<string> {
    const { pki } = this.controlPlane.credentials;
    const tls = { ca: pki.ca, ...(await pki.issue('tombolo')) };
    return writeKubeconfig(`${this.directory}/tombolo.kubeconfig`, 'east', this.controlPlane.server, tls);
  }

  async upstream(): Promise<Upstream> {
    const { ca, cert, key } = this.controlPlane.credentials.admin;
    const [caText, certText, keyText] = await Promise.all([ca, cert, key].map((file) => readFile(file)));
    if (!caText || !certText || !keyText) throw new Error('Cannot read the certificates of the administrator');
    return { server: this.controlPlane.server, ca: caText, cert: certText, key: keyText };
  }

  /** Starts the API server again, if told with flags of its own or as another program, and waits until it is ready. */
  async restartApiserver(change: (argv: readonly string[]) => readonly string[] = (argv) => argv): Promise<void> {
    await this.apiserver.kill();
    this.apiserver = new Program({ ...this.apiserver.spec, argv: change(this.apiserver.spec.argv) });
    await this.apiserver.start();
    await this.ready();
  }

  async ready(): Promise<void> {
    const isReady = async () => (await this.api.getText('/readyz')) === 'ok';
    await waitUntil('the API server to be ready', isReady, { timeoutMs: 90_000, everyMs: 50 });
  }

  async revision(): Promise<number> {
    const list = await this.api.get<{ readonly metadata: { readonly resourceVersion: string } }>('/api/v1/nodes');
    return Number(list.metadata.resourceVersion);
  }

  /** What etcd has at this moment, as a copy of its disk has it. */
  async backUpEtcd(): Promise<void> {
    const { etcd } = this.controlPlane;
    etcd.signal('SIGSTOP');
    const stopped = async () => /\) T /.test(await readFile(`/proc/${etcd.pid}/stat`, 'utf8'));
    await waitUntil('etcd to stand still', stopped);
    await rm(this.#backup, { recursive: true, force: true });
    await cp(this.#data, this.#backup, { recursive: true });
    etcd.signal('SIGCONT');
  }

  /**
   * The API server, too, is started again, as Kubernetes demands it. `spent`: so many revisions pass in the new history
   * before it serves anybody.
   */
  async restoreEtcd(spent: number): Promise<void> {
    await this.apiserver.kill();
    await this.controlPlane.etcd.kill();
    await rm(this.#data, { recursive: true });
    await cp(this.#backup, this.#data, { recursive: true });
    await this.controlPlane.etcd.start();
    await this.spendRevisions(spent);
    await this.restartApiserver();
  }

  async emptyEtcd(): Promise<void> {
    await this.apiserver.kill();
    await this.controlPlane.etcd.kill();
    await rm(this.#data, { recursive: true });
    await this.controlPlane.etcd.start();
    await this.restartApiserver();
  }

  /** Elsewhere in etcd; the API server sees nothing of them but that revisions pass. Resolves with the last one. */
  async spendRevisions(count: number): Promise<number> {
    const put = async () => {
      const { header } = await this.#askEtcd('put', { key: btoa('elsewhere'), value: btoa('x') });
      return Number(header.revision);
    };
    let revision = await waitUntil('etcd to answer', put);
    for (let i = 1; i < count; i++) revision = await put();
    return revision;
  }

  async compactEtcd(revision: number): Promise<void> {
    await this.#askEtcd('compaction', { revision: `${revision}` });
  }

  async #askEtcd(what: string, body: object): Promise<{ readonly header: { readonly revision: string } }> {
    const url = `http://127.0.0.1:${this.controlPlane.plan.etcdPorts.client}/v3/kv/${what}`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`Cannot ${what}: etcd answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as { readonly header: { readonly revision: string } };
  }

  get #data(): string {
    return `${this.controlPlane.plan.directory}/etcd`;
  }

  get #backup(): string {
    return `${this.controlPlane.plan.directory}/etcd-backup`;
  }

  close(): Promise<void> {
    return this.loopback.close();
  }
}
