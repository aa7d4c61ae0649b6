/**
 * A real control plane on loopback for the tests of a file: started once, emptied between tests. It has no nodes: the
 * status of Nodes and Pods is written by whoever makes them.
 */
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { KubernetesObject } from '@tombolo/machine/kubernetes/objects.ts';
import { type LoopbackControlPlane, startLoopbackControlPlane } from '@tombolo/real-kubernetes/run/loopback.ts';

/** What is in namespaces, and what is not. */
const NAMESPACED = ['/api/v1/pods', '/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices'];
const NODES = '/api/v1/nodes';
/** Those of Kubernetes itself. */
const ITS_OWN = /^(default|kube-.*)$/;

export class TestCluster {
  readonly api: KubernetesClient;
  readonly #kubernetes: LoopbackControlPlane;

  private constructor(kubernetes: LoopbackControlPlane) {
    this.#kubernetes = kubernetes;
    this.api = kubernetes.controlPlane.client();
  }

  /** `name`: one of a name at a time. */
  static async start(name: string): Promise<TestCluster> {
    return new TestCluster(await startLoopbackControlPlane({ name }));
  }

  close(): Promise<void> {
    return this.#kubernetes.close();
  }

  get kubeconfig(): string {
    return this.#kubernetes.kubeconfig;
  }

  /** Where the API server listens on 127.0.0.1. */
  get port(): number {
    return this.#kubernetes.controlPlane.plan.port;
  }

  /** `kill -9`; what it held stays in its etcd. */
  async killApi(): Promise<void> {
    await this.#kubernetes.controlPlane.apiserver.kill();
  }

  /** Nothing to do while it runs. */
  async startApi(): Promise<void> {
    const { controlPlane } = this.#kubernetes;
    await controlPlane.apiserver.start();
    await controlPlane.ready();
  }

  /** Makes the namespace or adds the annotations to one that is there; then Pods can be made in it. */
  async namespace(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
    await this.api.apply(namespace);
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } };
    await this.api.waitFor(account, (found) => found !== undefined);
  }

  /** Removes what tests make. Their namespaces stay, bare: to end one takes Kubernetes several seconds. */
  async empty(): Promise<void> {
    for (const path of NAMESPACED)
      for (const { metadata } of await this.#list(path)) {
        const { namespace = '', name } = metadata;
        const collection = path.replace(/(?=\/[a-z]+$)/, `/namespaces/${namespace}`);
        if (!ITS_OWN.test(namespace)) await this.api.request('DELETE', `${collection}/${name}?gracePeriodSeconds=0`);
      }
    for (const { metadata } of await this.#list(NODES)) await this.api.request('DELETE', `${NODES}/${metadata.name}`);
    for (const { metadata } of await this.#list('/api/v1/namespaces')) {
      if (ITS_OWN.test(metadata.name)) continue;
      const annotations = Object.fromEntries(Object.keys(metadata.annotations ?? {}).map((key) => [key, null]));
      const path = `/api/v1/namespaces/${metadata.name}`;
      await this.api.request('PATCH', path, { metadata: { annotations } }, 'application/merge-patch+json');
    }
  }

  async #list(path: string): Promise<readonly KubernetesObject[]> {
    return (await this.api.get<{ readonly items: readonly KubernetesObject[] }>(path)).items;
  }
}
