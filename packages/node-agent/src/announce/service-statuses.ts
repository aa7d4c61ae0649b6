/**
 * Writes MetalLB's `ServiceL2Status` and `ServiceBGPStatus` for what this node announces, where a cluster has these kinds.
 *
 * W1. Nothing is taken back before it is known what is announced.
 * W2. They are few a second, follow changes only, and one node has no more than `most` of a kind.
 * W3. What a node that is gone has said goes with its Node object, which owns it; of a node of which Kubernetes hears nothing
 *     any more, nor any agent, the first of the others takes it away. An agent whose own Node is so writes nothing.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { serviceStatuses } from '@tombolo/shared/kubernetes/collections.ts';
import {
  MANAGED_BY,
  OUR_NAME,
  type ServiceStatusObject,
  STATUS_LABELS,
} from '@tombolo/shared/kubernetes/service-status-object.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import { type Clock, sleep } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { ABSENT_MS, type AnnounceFacts } from './announce-facts.ts';
import { StatusPlan, type StatusWrite, type Told } from './status-plan.ts';

export interface ServiceStatusesOptions {
  readonly client: KubernetesClient;
  readonly facts: Pick<AnnounceFacts, 'follow' | 'nodes' | 'isComplete'>;
  readonly nodeName: string;
  readonly metallbNamespace: string;
  /** What is announced from here; undefined: not known yet. */
  readonly told: Readonly<Record<keyof typeof KINDS, () => Told | undefined>>;
  /** Whose agent is alive, whatever Kubernetes hears of the node. */
  readonly isHeard: (node: string) => boolean;
  readonly report: (health: Health) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `most`: by ARP and NDP one node alone announces a Service, by BGP each does. */
const KINDS = {
  l2: { kind: 'ServiceL2Status', plural: 'servicel2statuses', most: 10_000, leavesAtStop: true },
  bgp: { kind: 'ServiceBGPStatus', plural: 'servicebgpstatuses', most: 1_000, leavesAtStop: false },
} as const;

const API = 'metallb.io/v1beta1';
const LOOK_MS = 1_000;
/** Writes in a row, and between them. */
const AT_ONCE = 10;
const GAP_MS = 100;
const ANSWER_MS = 5_000;
const AGAIN_MS = 10_000;
const SWEEP_MS = 60_000;
const LEAVE_MS = 1_000;
/** Names of nodes in one selector. */
const SWEPT_AT_ONCE = 50;

const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

export class ServiceStatuses {
  readonly #options: ServiceStatusesOptions;
  readonly #problems = new Map<string, string>();

  constructor(options: ServiceStatusesOptions) {
    this.#options = options;
  }

  /** Resolves when the signal aborts; rejects on a fault of our own. */
  async run(signal: AbortSignal): Promise<void> {
    const { nodeName } = this.#options;
    if (!LABEL_VALUE.test(nodeName)) {
      this.#say('node', `nothing is said of ${nodeName}, since its name cannot be the value of a label`);
      return;
    }
    await Promise.all([this.#keep('l2', signal), this.#keep('bgp', signal), this.#sweep(signal)]);
  }

  async #keep(way: keyof typeof KINDS, signal: AbortSignal): Promise<void> {
    const { facts, nodeName, clock } = this.#options;
    const found = new Map<string, ServiceStatusObject>();
    let isListed = false;
    const following = facts.follow(
      serviceStatuses(this.#path(way), nodeName),
      signal,
      (key, object) => {
        if (object) found.set(key, object);
        else found.delete(key);
      },
      () => {
        isListed = true;
      },
    );
    const plan = new StatusPlan(way, nodeName);
    while (!signal.aborted) {
      await sleep(clock, LOOK_MS, signal);
      const told = this.#told(way);
      if (!isListed || told === undefined || facts.nodes.get(nodeName)?.unreachable) continue;
      const writes = plan.writes(clock.now(), told, found.values());
      if (writes.length === 0) this.#say(way, undefined);
      for (const write of writes.slice(0, AT_ONCE)) {
        const waitMs = await this.#write(way, write, signal);
        if (waitMs === 0) plan.done(write, clock.now());
        await sleep(clock, Math.max(waitMs, GAP_MS), signal);
        // Much may be different by then.
        if (waitMs > 0 || signal.aborted) break;
      }
    }
    await following;
    if (KINDS[way].leavesAtStop && [...found.values()].some(({ isOurs }) => isOurs))
      await this.#deleteOf(way, [nodeName], AbortSignal.timeout(LEAVE_MS)).catch(() => {});
  }

  #told(way: keyof typeof KINDS): Told | undefined {
    const told = this.#options.told[way]();
    const { kind, most } = KINDS[way];
    const isMore = told !== undefined && told.size > most;
    this.#say(`most ${way}`, isMore ? `${kind}: written of ${most} of ${told.size} Services, the most` : undefined);
    return isMore ? new Map([...told].sort(([a], [b]) => compareText(a, b)).slice(0, most)) : told;
  }

  /** Answers after how many ms to go on; 0 where it was done. */
  async #write(way: keyof typeof KINDS, write: StatusWrite, signal: AbortSignal): Promise<number> {
    const { client } = this.#options;
    const within = () => AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
    const path = `${this.#path(way)}/${write.name}`;
    const owner = this.#options.facts.nodes.get(this.#options.nodeName);
    try {
      if (write.kind === 'create') {
        // Without an owner it might stay for ever.
        if (!owner) return AGAIN_MS;
        await unless(409, client.send('POST', this.#path(way), this.#objectOf(way, write, owner.uid), within()));
      }
      // Of a new object the server takes no status, as of any kind that has it apart.
      if (write.kind === 'delete') await unless(404, client.send('DELETE', path, undefined, within()));
      else await unless(404, client.send('PATCH', `${path}/status`, { status: write.status }, within()));
      return 0;
    } catch (error) {
      if (signal.aborted) return AGAIN_MS;
      const isAbsent = error instanceof ApiError && error.status === 404;
      this.#say(way, isAbsent ? undefined : `${KINDS[way].kind}: ${reasonOf(error)}`, error);
      if (isAbsent) return ABSENT_MS;
      return Math.max(AGAIN_MS, error instanceof ApiError ? error.retryAfterMs : 0);
    }
  }

  #objectOf(way: keyof typeof KINDS, { name, service }: StatusWrite & { readonly kind: 'create' }, uid: string) {
    const { nodeName, metallbNamespace: namespace } = this.#options;
    const about = splitServiceKey(service);
    return {
      ...{ apiVersion: API, kind: KINDS[way].kind },
      metadata: {
        ...{ name, namespace },
        labels: {
          [MANAGED_BY]: OUR_NAME,
          [STATUS_LABELS.node]: nodeName,
          [STATUS_LABELS.service]: about.name,
          [STATUS_LABELS.namespace]: about.namespace,
        },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid }],
      },
    };
  }

  /** W3. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, SWEEP_MS, signal);
      const silent = this.#silentNodes();
      for (let at = 0; at < silent.length && !signal.aborted; at += SWEPT_AT_ONCE)
        for (const way of ['l2', 'bgp'] as const) {
          const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
          await this.#deleteOf(way, silent.slice(at, at + SWEPT_AT_ONCE), within).catch((error: unknown) => {
            if (!signal.aborted) this.#say('sweep', `${KINDS[way].kind}: ${reasonOf(error)}`, error);
          });
        }
    }
  }

  /** Those that this node is to speak for. */
  #silentNodes(): readonly string[] {
    const { facts, nodeName, isHeard } = this.#options;
    if (!facts.isComplete) return [];
    const nodes = [...facts.nodes.values()];
    const [first] = nodes
      .filter(({ unreachable }) => !unreachable)
      .map(({ name }) => name)
      .sort(compareText);
    if (first !== nodeName) return [];
    return nodes.filter((node) => node.unreachable && !isHeard(node.name)).map(({ name }) => name);
  }

  async #deleteOf(way: keyof typeof KINDS, nodes: readonly string[], signal: AbortSignal): Promise<void> {
    const labelSelector = `${MANAGED_BY}=${OUR_NAME},${STATUS_LABELS.node} in (${nodes.join(',')})`;
    const query = new URLSearchParams({ labelSelector });
    await unless(404, this.#options.client.send('DELETE', `${this.#path(way)}?${query}`, undefined, signal));
  }

  #path(way: keyof typeof KINDS): string {
    return `/apis/${API}/namespaces/${this.#options.metallbNamespace}/${KINDS[way].plural}`;
  }

  /** Undefined: all is well with this part. */
  #say(part: string, problem: string | undefined, error?: unknown): void {
    const { report, log } = this.#options;
    if (problem === this.#problems.get(part)) return;
    if (problem === undefined) this.#problems.delete(part);
    else {
      this.#problems.set(part, problem);
      log.warn({ problem, error }, 'Not all status of announcing is written');
    }
    const reason = [...this.#problems.values()].join('; ');
    report(reason === '' ? { kind: 'ok' } : { kind: 'degraded', reason });
  }
}

/** That answer is as good as what was asked for. */
async function unless(status: number, sent: Promise<string>): Promise<void> {
  await sent.catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== status) throw error;
  });
}
