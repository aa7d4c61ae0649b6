/**
 * Who of several is the leader, by a Lease of `coordination.k8s.io`, as client-go does it and interoperably: the holder
 * renews it, and whoever has seen no renewal for its whole duration, by his own clock, may take it. Clocks are not
 * compared. One step at a time: when to take one is the caller's.
 */
import type { Clock } from '../process/clock.ts';
import { childOf } from '../process/notifier.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { Fields } from './fields.ts';
import type { Json } from './json.ts';

/** What the holder says; two that are equal are the same renewal. */
export interface LeaseClaim {
  /** Empty: nobody. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly renewedAt: string;
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
      return this.#write(object, within);
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
  async #write(old: Fields | undefined, signal: AbortSignal): Promise<Standing> {
    const { name, identity, clock } = this.#options;
    const spec = old?.object('spec').json;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...old?.object('metadata').json, name },
      spec: { ...spec, ...claimed(spec, identity, clock.wallTime()) },
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

/** What we write: a renewal, or that the Lease is ours from now on. */
function claimed(spec: Json | undefined, identity: string, wallTime: number): Json {
  const now = new Date(wallTime).toISOString().replace('Z', '000Z');
  const claim = { holderIdentity: identity, leaseDurationSeconds: DURATION_SECONDS, renewTime: now };
  if (spec?.['holderIdentity'] === identity) return claim;
  return { ...claim, acquireTime: now, leaseTransitions: spec ? Number(spec['leaseTransitions'] ?? 0) + 1 : 0 };
}

function readClaim(object: Fields): LeaseClaim {
  const spec = object.object('spec');
  const duration = spec.json['leaseDurationSeconds'];
  return {
    holder: spec.text('holderIdentity'),
    durationSeconds: typeof duration === 'number' ? duration : DURATION_SECONDS,
    renewedAt: spec.text('renewTime'),
  };
}
