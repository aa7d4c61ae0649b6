/**
 * Who of several is the leader, by a Lease of `coordination.k8s.io`, as client-go does it and interoperably: the holder
 * renews it, and whoever has seen no renewal for its whole duration, by his own clock, may take it. Clocks are not
 * compared. One step at a time: when to take one is the caller's.
 */
import type { Clock } from '../process/clock.ts';
import { childOf } from '../process/notifier.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { Fields } from './fields.ts';

/** What the holder says; two that are equal are the same renewal. */
export interface LeaseClaim {
  /** Empty: nobody. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly acquiredAt: string;
  readonly renewedAt: string;
  readonly transitions: number;
}

/** A claim, and since when it has been known, by the clock of who saw it. */
export interface SeenClaim {
  readonly claim: LeaseClaim;
  readonly since: number;
}

export type Standing = 'leader' | 'standby';

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Our name: no other candidate's. */
  readonly identity: string;
  readonly clock: Clock;
}

const DURATION_SECONDS = 15;
const ANSWER_MS = 5_000;

export class KubernetesLease {
  readonly #client: KubernetesClient;
  readonly #options: LeaseOptions;
  readonly #collection: string;
  #seen: SeenClaim | undefined;

  constructor(client: KubernetesClient, options: LeaseOptions) {
    this.#client = client;
    this.#options = options;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Takes or renews it, if that may be: `leader` was true after the call was made. Rejects when nobody answers, and so. */
  step(signal: AbortSignal): Promise<Standing> {
    return this.#within(signal, async (within) => {
      const { identity, clock } = this.#options;
      const object = await this.#read(within);
      this.#seen = object && seenClaim(this.#seen, readClaim(object), clock.now());
      if (this.#seen && !mayHold(this.#seen, identity, clock.now())) return 'standby';
      return this.#write(object, claimOf(this.#seen?.claim, identity, clock.wallTime()), within);
    });
  }

  /** Leaves it to others at once, if it is ours. */
  release(signal: AbortSignal): Promise<void> {
    return this.#within(signal, async (within) => {
      const object = await this.#read(within);
      if (!object || readClaim(object).holder !== this.#options.identity) return;
      const preconditions = { resourceVersion: object.object('metadata').text('resourceVersion') };
      await this.#client.send('DELETE', this.#path, { kind: 'DeleteOptions', apiVersion: 'v1', preconditions }, within);
    });
  }

  get #path(): string {
    return `${this.#collection}/${this.#options.name}`;
  }

  async #within<T>(signal: AbortSignal, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const ending = childOf(signal);
    const cancel = this.#options.clock.after(ANSWER_MS, () => ending.abort(new Error('no answer within 5 s')));
    try {
      return await call(ending.signal);
    } finally {
      cancel();
      ending.abort();
    }
  }

  async #read(signal: AbortSignal): Promise<Fields | undefined> {
    try {
      return new Fields(JSON.parse(await this.#client.get(this.#path, signal)));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** A conflict is an answer, too: somebody else was faster. */
  async #write(old: Fields | undefined, claim: LeaseClaim, signal: AbortSignal): Promise<Standing> {
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...old?.object('metadata').json, name: this.#options.name },
      spec: { ...old?.object('spec').json, ...specOf(claim) },
    };
    try {
      await this.#client.send(old ? 'PUT' : 'POST', old ? this.#path : this.#collection, body, signal);
      return 'leader';
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return 'standby';
      throw error;
    }
  }
}

/** What is known after a look: a claim that has not changed is as old as it was. */
export function seenClaim(before: SeenClaim | undefined, claim: LeaseClaim, now: number): SeenClaim {
  const same = before !== undefined && JSON.stringify(before.claim) === JSON.stringify(claim);
  return { claim, since: same ? before.since : now };
}

/** Whether it is ours, or nobody's, or its holder has not been heard of for as long as he said. */
export const mayHold = ({ claim, since }: SeenClaim, identity: string, now: number): boolean =>
  claim.holder === identity || claim.holder === '' || now - since >= claim.durationSeconds * 1_000;

function claimOf(before: LeaseClaim | undefined, identity: string, wallTime: number): LeaseClaim {
  const now = new Date(wallTime).toISOString().replace('Z', '000Z');
  const isOurs = before?.holder === identity;
  return {
    holder: identity,
    durationSeconds: DURATION_SECONDS,
    acquiredAt: isOurs ? before.acquiredAt : now,
    renewedAt: now,
    transitions: (before?.transitions ?? 0) + (before && !isOurs ? 1 : 0),
  };
}

const specOf = ({ holder, durationSeconds, acquiredAt, renewedAt, transitions }: LeaseClaim) => ({
  holderIdentity: holder,
  leaseDurationSeconds: durationSeconds,
  acquireTime: acquiredAt,
  renewTime: renewedAt,
  leaseTransitions: transitions,
});

function readClaim(object: Fields): LeaseClaim {
  const spec = object.object('spec');
  const number = (name: string, fallback: number) => (typeof spec.json[name] === 'number' ? spec.json[name] : fallback);
  return {
    holder: spec.text('holderIdentity'),
    durationSeconds: number('leaseDurationSeconds', DURATION_SECONDS),
    acquiredAt: spec.text('acquireTime'),
    renewedAt: spec.text('renewTime'),
    transitions: number('leaseTransitions', 0),
  };
}
