/**
 * A small kubelet: registers its node and runs the pods that are bound to it, as processes. A pod is known by its uid: a
 * new pod of the same name on this node waits until the old one is gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { removeCgroup } from '@tombolo/machine/cgroup.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { listNetns, removeNetns } from '@tombolo/machine/netns.ts';
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { AddressPool } from './address-pool.ts';
import { nodeObject } from './node-object.ts';
import { podNetnsPrefix, podsCgroup } from './pod-places.ts';
import { PodRunner } from './pod-runner.ts';

const RETRY_MS = 100;

export class Kubelet {
  readonly #node: NodePlan;
  readonly #logger: Logger;
  readonly #client: KubernetesClient;
  readonly #addresses: AddressPool;
  readonly #pods = new Map<string, PodRunner>();
  /** By namespace and name, the end of the pod that has it now. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(node: NodePlan, logger: Logger) {
    this.#node = node;
    this.#logger = logger;
    this.#client = new KubernetesClient(node.api);
    this.#addresses = new AddressPool(node.podCidr, node.podCidr6);
  }

  /** Until `signal` aborts. Pods stay; the next run starts them anew. */
  async run(signal: AbortSignal): Promise<void> {
    await removeCgroup(podsCgroup(this.#node));
    await removeNetns(await listNetns(podNetnsPrefix(this.#node)));
    const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${this.#node.name}`;
    const follower = {
      changed: (pod: Pod) => this.#changed(pod),
      removed: (pod: Pod) => this.#removed(pod.metadata.uid),
      listed: (present: ReadonlySet<string>) => {
        for (const uid of this.#pods.keys()) if (!present.has(uid)) this.#removed(uid);
        void this.#register(signal); // Also after an API server that forgot us.
      },
    };
    await this.#client.follow<Pod>(path, follower, signal);
  }

  async #register(signal: AbortSignal): Promise<void> {
    const { manifest, status } = nodeObject(this.#node, new Date().toISOString());
    while (!signal.aborted) {
      try {
        await this.#client.apply(manifest);
        await this.#client.patch(manifest, { status }, 'status');
        return this.#logger.info({ node: this.#node.name }, 'node registered');
      } catch (error) {
        this.#logger.warn({ node: this.#node.name, error }, 'node cannot be registered yet');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  #changed(pod: Pod): void {
    const { uid, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const known = this.#pods.get(uid);
    if (deletionTimestamp !== undefined) {
      const runner = known ?? this.#adopt(pod);
      this.#leaves(pod, runner.end(deletionGracePeriodSeconds));
    } else if (known === undefined && !hasEnded(pod)) this.#begin(pod);
  }

  /** What one that was started before us left is gone; only the API still has it. */
  #adopt(pod: Pod): PodRunner {
    const runner = new PodRunner(pod, this.#context());
    this.#pods.set(pod.metadata.uid, runner);
    return runner;
  }

  #begin(pod: Pod): void {
    const runner = this.#adopt(pod);
    const before = this.#leaving.get(nameOf(pod));
    this.#logger.info({ pod: nameOf(pod) }, 'pod starts');
    if (before === undefined) runner.start();
    else void before.then(() => this.#pods.has(pod.metadata.uid) && runner.start());
  }

  #removed(uid: string): void {
    const runner = this.#pods.get(uid);
    if (runner === undefined) return;
    this.#pods.delete(uid);
    this.#leaves(runner.pod, runner.discard());
  }

  #leaves(pod: Pod, end: Promise<void>): void {
    const name = nameOf(pod);
    const gone = end
      .catch((error: Error) => this.#logger.error({ pod: name, error }, 'pod cannot be removed'))
      .then(() => {
        if (this.#leaving.get(name) === gone) this.#leaving.delete(name);
      });
    this.#leaving.set(name, gone);
  }

  #context() {
    return { node: this.#node, client: this.#client, addresses: this.#addresses, logger: this.#logger };
  }
}

const nameOf = ({ metadata: { namespace = 'default', name } }: Pod): string => `${namespace}/${name}`;

const hasEnded = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';
