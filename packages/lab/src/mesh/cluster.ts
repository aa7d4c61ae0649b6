/** A cluster of a running mesh: its control plane's programs, its Kubernetes API, its nodes and pods. */

import { command } from '@tombolo/machine/command.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import {
  isReady,
  type KubernetesObject,
  type Manifest,
  type Pod,
  type Service,
} from '@tombolo/machine/kubernetes/objects.ts';
import type { ObjectAddress } from '@tombolo/machine/kubernetes/resource-path.ts';
import { Program } from '@tombolo/machine/program.ts';
import { httpReady, programReady } from '@tombolo/machine/readiness.ts';
import { parseAllDocuments } from 'yaml';
import type { ClusterKubernetes } from './cluster-kubernetes.ts';
import { cutLink } from './fabric.ts';
import { clusterKubernetes, podPlacesOf } from './kubernetes.ts';
import { NodeHandle } from './node.ts';
import type { ClusterPlan, MeshPlan } from './plan.ts';
import { PodHandle } from './pod.ts';
import { type AgentOptions, apiserverSpec, etcdSpec, HEALTH_PORTS } from './programs.ts';

export class ClusterHandle {
  readonly name: string;
  readonly plan: ClusterPlan;
  readonly etcd: Program;
  readonly kubernetes: ClusterKubernetes;
  readonly apiserver: Program;
  readonly nodes: readonly NodeHandle[];
  readonly api: KubernetesClient;
  readonly #mesh: MeshPlan;

  constructor(mesh: MeshPlan, cluster: ClusterPlan, agent: AgentOptions) {
    this.name = cluster.name;
    this.plan = cluster;
    this.#mesh = mesh;
    this.etcd = new Program(etcdSpec(cluster));
    this.kubernetes = clusterKubernetes(mesh, cluster);
    this.apiserver = new Program(apiserverSpec(cluster, agent.logLevel ?? 'info'));
    this.nodes = cluster.nodes.map((node) => new NodeHandle(cluster, node, agent));
    this.api = new KubernetesClient(cluster.api);
  }

  /** By name, or by number from 1. */
  node(which: string | number): NodeHandle {
    const node = typeof which === 'number' ? this.nodes[which - 1] : this.nodes.find(({ name }) => name === which);
    if (node !== undefined) return node;
    throw new Error(
      `Cannot find node ${which} in cluster '${this.name}': it has ${this.nodes.map(({ name }) => name)}`,
    );
  }

  /** The user's own kubectl, through the relay. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    const flags = ['--kubeconfig', this.#mesh.kubeconfig, '--context', this.name];
    const cache = ['--cache-dir', `${this.#mesh.directory}/kubectl-cache`];
    return command(['kubectl', ...flags, ...cache, ...args], input === undefined ? {} : { input });
  }

  /** YAML documents or objects: created, or merged into what is there. */
  async apply(manifests: string | readonly Manifest[]): Promise<void> {
    const objects =
      typeof manifests === 'string'
        ? parseAllDocuments(manifests).flatMap((document): Manifest[] => document.toJS() ?? [])
        : manifests;
    for (const object of objects) await this.api.apply(object);
  }

  waitFor<T extends KubernetesObject>(
    address: ObjectAddress,
    holds: (object: T | undefined) => boolean,
  ): Promise<T | undefined> {
    return this.api.waitFor<T>(address, holds);
  }

  /** Waits until the pod is ready. */
  async pod(name: string, namespace = 'default'): Promise<PodHandle> {
    const address = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } };
    const pod = await this.waitFor<Pod>(address, (pod) => pod !== undefined && isReady(pod));
    const nodeName = pod?.spec.nodeName ?? '';
    if (pod === undefined) throw new Error(`Cannot find pod ${namespace}/${name} in cluster '${this.name}'`);
    const node = this.node(nodeName).plan;
    return new PodHandle(node, pod, await podPlacesOf(this.#mesh.kubernetes, node, pod));
  }

  /** The cluster address of a Service, once it has one. */
  async serviceAddress(name: string, namespace = 'default'): Promise<string> {
    const address = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } };
    const service = await this.waitFor<Service>(address, (service) => service?.spec.clusterIP !== undefined);
    return service?.spec.clusterIP ?? '';
  }

  etcdReady(): Promise<void> {
    const { controlPlane, etcdEndpoint } = this.plan;
    return programReady(this.etcd, () => httpReady(controlPlane.netns, `${etcdEndpoint}/health`));
  }

  apiserverReady(): Promise<void> {
    const { netns, address } = this.plan.controlPlane;
    return programReady(this.apiserver, () => httpReady(netns, `http://${address}:${HEALTH_PORTS.apiserver}/readyz`));
  }

  /** Cuts only the control plane off: etcd and both API servers fall silent, pods and nodes stay reachable. */
  cutControlPlane(): Promise<void> {
    return cutLink(this.#mesh, this.plan.controlPlane.link);
  }
}
