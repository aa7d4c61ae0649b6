/** A small kubelet: registers its node and runs the pods that are bound to it, as processes. Knows pods by their uids. */
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

  /** Of a pod that ran before us and is to end, only the API has anything left. */
  #changed(pod: Pod): void {
    const { uid, deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const known = this.#pods.get(uid);
    const [node, client, addresses, logger] = [this.#node, this.#client, this.#addresses, this.#logger];
    const runner = known ?? new PodRunner(pod, { node, client, addresses, logger });
    this.#pods.set(uid, runner);
    if (deletionTimestamp !== undefined) void runner.end(deletionGracePeriodSeconds);
    else if (known === undefined) runner.start();
  }

  #removed(uid: string): void {
    void this.#pods.get(uid)?.discard();
    this.#pods.delete(uid);
  }
}
