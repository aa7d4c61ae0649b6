/**
 * Which of several exporters to one etcd writes. Kubernetes elects it, and the fence in etcd enforces it:
 *
 * L1 The fence is taken from another only by the leader that Kubernetes confirmed after the fence was looked at, and only
 *    if nobody took it since. So an outdated leader takes it from nobody, however late its messages arrive.
 * L2 While Kubernetes cannot be asked, or forbids it, a fence is taken only when nobody holds it: its holder goes on, and
 *    two take turns at nothing.
 * L3 Each etcd has a Lease of its own: replicas with an etcd each all export.
 */
import type { Fence, FenceView } from '@tombolo/shared/etcd/write/fence.ts';
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { KubernetesLease, type Standing } from '@tombolo/shared/kubernetes/lease.ts';
import { type Clock, sleep } from '@tombolo/shared/process/clock.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';

export interface LeadershipOptions {
  readonly fence: Fence;
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly report: (health: Health) => void;
  /** Who writes, as far as etcd says. */
  readonly writes: (who: FenceView['holder']) => void;
}

const PERIOD_MS = 2_000;
/** Both are often started together; the session makes a call to an etcd that does not answer cheap. */
const ETCD_AGAIN_MS = 200;
const RELEASE_MS = 1_000;

/** Whether to take the fence, given who holds it and what Kubernetes says; undefined: nothing. */
export function mayTake(holder: FenceView['holder'], standing: Standing | undefined): boolean {
  if (holder === 'us') return false;
  if (standing === undefined) return holder !== 'another';
  return standing === 'leader';
}

export class Leadership {
  readonly #options: LeadershipOptions;
  #lease: KubernetesLease | undefined;
  #problem = '';

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  /** Resolves when the signal aborts, and both Lease and fence are left to others. */
  async run(signal: AbortSignal): Promise<void> {
    const { fence, clock, log } = this.#options;
    while (!signal.aborted) {
      let wait = PERIOD_MS;
      try {
        await this.#turn(signal);
      } catch (error) {
        // The etcd room has reported it.
        log.debug({ error }, 'Cannot see who writes to etcd');
        wait = ETCD_AGAIN_MS;
      }
      await sleep(clock, wait, signal);
    }
    const released = this.#lease?.release(AbortSignal.timeout(RELEASE_MS)).catch((error: unknown) => {
      log.warn({ error }, 'Cannot leave the Lease to others; they wait until it has run out');
    });
    await Promise.all([fence.release(), released]);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { fence, log, writes } = this.#options;
    const view = await fence.look();
    const standing = await this.#standing(view.clusterId, signal);
    if (mayTake(view.holder, standing)) {
      await fence.take(view);
      if (fence.tenure) log.info({ standing: standing ?? 'unknown' }, 'This exporter writes from now on');
    }
    writes(fence.tenure ? 'us' : view.holder);
  }

  async #standing(clusterId: string, signal: AbortSignal): Promise<Standing | undefined> {
    const { client, namespace, instance, clock, log, report } = this.#options;
    const name = `tombolo-exporter-${BigInt(clusterId).toString(16)}`;
    if (this.#lease?.name !== name) {
      this.#lease = new KubernetesLease(client, { namespace, name, identity: instance, clock });
    }
    try {
      const standing = await this.#lease.step(signal);
      this.#problem = '';
      report({ kind: 'ok' });
      return standing;
    } catch (error) {
      if (signal.aborted) return undefined;
      const reason = `Lease ${namespace}/${name}: ${reasonOf(error)}`;
      report({ kind: 'degraded', reason: `whoever writes goes on: ${reason}` });
      log[this.#problem === reason ? 'debug' : 'warn']({ error }, 'Kubernetes elects nobody; whoever writes goes on');
      this.#problem = reason;
      return undefined;
    }
  }
}
