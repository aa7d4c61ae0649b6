/**
 * Keys that say that all others are there, and must never outlive what they vouch for. They hang on a lease of their own
 * which, at every moment, ends before the leases of all entries:
 *
 * 1. It is not kept alive but granted anew after each round of the keeper, for two thirds of the shortest time to live.
 *    A request to keep a lease alive that is delivered late, after its sender's death, would move the end; a late grant
 *    is a lease without keys, and a late write cannot move the end of the lease that it names.
 * 2. It is used only when its grant was answered within a quarter of that time since the round began. So it ends eleven
 *    twelfths after the beginning, at the latest, and the others a whole after it, at the earliest.
 * 3. An etcd that restarts gives every lease its whole time again, which keeps that order.
 */
import type { Clock } from '../../process/clock.ts';
import { EtcdError } from '../session/errors.ts';
import type { Round } from './lease-keeper.ts';

export interface CanaryCalls {
  /** Resolves with the id of a lease. */
  grant(ttlSeconds: number): Promise<string>;
  put(entries: ReadonlyMap<string, string>, lease: string): Promise<void>;
}

export class Canaries {
  readonly #calls: CanaryCalls;
  readonly #clock: Clock;
  readonly #values = new Map<string, string>();

  constructor(calls: CanaryCalls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  get keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  set(key: string, value: string): void {
    this.#values.set(key, value);
  }

  /** It is not written again. What is in etcd ends with its lease. */
  delete(key: string): void {
    this.#values.delete(key);
  }

  async renew({ since, ttlMs }: Round): Promise<void> {
    if (this.#values.size === 0) return;
    const lease = await this.#calls.grant(Math.floor((ttlMs * 2) / 3_000));
    if (this.#clock.now() - since > ttlMs / 4)
      throw new EtcdError('unavailable', 'etcd took too long to grant a lease');
    if (this.#values.size > 0) await this.#calls.put(new Map(this.#values), lease);
  }
}
