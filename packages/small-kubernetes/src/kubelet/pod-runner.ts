/**
 * One pod on a node, from binding to removal: network, containers, status, graceful end. Owns what it makes on the
 * machine, and the pod's status in the API.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createCgroup, removeCgroup } from '@tombolo/machine/cgroup.ts';
import { ApiError, type KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { removeNetns } from '@tombolo/machine/netns.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Condition } from '../api/kinds/typed.ts';
import type { AddressPool, PodAddresses } from './address-pool.ts';
import { ContainerRunner } from './container.ts';
import { connectPod } from './pod-network.ts';
import { type PodPlaces, podPlaces } from './pod-places.ts';
import { podStatus } from './pod-status.ts';

export interface PodContext {
  readonly node: NodePlan;
  readonly client: KubernetesClient;
  readonly addresses: AddressPool;
  readonly logger: Logger;
}

const DEFAULT_GRACE_S = 30;
const RETRY_MS = 100;

export class PodRunner {
  readonly #pod: Pod;
  readonly #context: PodContext;
  readonly #logger: Logger;
  readonly #places: PodPlaces;
  readonly #startTime = new Date().toISOString();
  #addresses: PodAddresses | undefined;
  #containers: readonly ContainerRunner[] = [];
  #problem: string | undefined;
  #conditions: readonly Condition[];
  #statusDirty = false;
  #publishing = false;
  #started: Promise<void> = Promise.resolve();
  #ended: Promise<void> | undefined;

  constructor(pod: Pod, context: PodContext) {
    this.#pod = pod;
    this.#context = context;
    this.#logger = context.logger.child({ pod: pod.metadata.name });
    this.#places = podPlaces(context.node, pod);
    this.#conditions = pod.status?.conditions ?? [];
  }

  start(): void {
    this.#started = this.#start().catch((error: Error) => {
      this.#problem = error.message;
      this.#logger.error({ error }, 'pod cannot be started');
      this.#statusChanged();
    });
  }

  /** Graceful end after a request to delete, then the removal from the API. Resolves when nothing is left of it. */
  end(graceSeconds = DEFAULT_GRACE_S): Promise<void> {
    this.#ended ??= this.#end(graceSeconds * 1000).catch((error: Error) =>
      this.#logger.error({ error }, 'pod cannot be removed'),
    );
    return this.#ended;
  }

  /** The pod is gone from the API: kill what runs. Also hurries a graceful end. */
  async discard(): Promise<void> {
    await Promise.all([this.end(0), this.#stopContainers(0)]);
  }

  async #start(): Promise<void> {
    const { node, addresses } = this.#context;
    await createCgroup(this.#places.cgroup);
    this.#addresses = addresses.take();
    await connectPod(node, this.#places, this.#addresses);
    if (this.#ended !== undefined) return;
    const { name, namespace = 'default' } = this.#pod.metadata;
    const { ipv4: address } = this.#addresses;
    const whereabouts = { CLUSTER_NAME: node.cluster, NODE_NAME: node.name };
    const env = { ...whereabouts, POD_NAME: name, POD_NAMESPACE: namespace, POD_IP: address };
    const host = { ...this.#places, address, env, changed: () => this.#statusChanged() };
    this.#containers = this.#pod.spec.containers.map((container) => new ContainerRunner(container, host));
    for (const container of this.#containers) container.start();
    this.#statusChanged();
  }

  async #end(graceMs: number): Promise<void> {
    await this.#stopContainers(graceMs);
    await removeCgroup(this.#places.cgroup);
    await removeNetns([this.#places.netns]); // Takes the link and the routes to it along.
    if (this.#addresses) this.#context.addresses.release(this.#addresses);
    await this.#context.client.remove(this.#pod, { gracePeriodSeconds: 0, uid: this.#pod.metadata.uid });
  }

  async #stopContainers(graceMs: number): Promise<void> {
    await this.#started;
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)));
  }

  #statusChanged(): void {
    this.#statusDirty = true;
    if (!this.#publishing) void this.#publish();
  }

  /** One patch at a time, always of the newest state; goes on until the API has it or the pod is gone there. */
  async #publish(): Promise<void> {
    this.#publishing = true;
    const { uid } = this.#pod.metadata;
    while (this.#statusDirty) {
      this.#statusDirty = false;
      try {
        await this.#context.client.patch(this.#pod, { metadata: { uid }, status: this.#status() }, 'status');
      } catch (error) {
        if (error instanceof ApiError && (error.status === 404 || error.status === 409)) break;
        if (error instanceof ApiError) this.#logger.warn({ error }, 'status refused');
        this.#statusDirty = true;
        await sleep(RETRY_MS);
      }
    }
    this.#publishing = false;
  }

  #status(): object {
    const facts = {
      node: this.#context.node,
      addresses: this.#addresses,
      startTime: this.#startTime,
      containers: this.#containers.map(({ report }) => report),
      problem: this.#problem,
    };
    const status = podStatus(facts, this.#conditions, new Date().toISOString());
    this.#conditions = status.conditions;
    return status;
  }
}
