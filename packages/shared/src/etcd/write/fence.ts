/**
 * The one key that its holder's writes all depend on: each is a transaction that compares it, so that of several writers
 * to one etcd only one gets through, whatever the others believe. It hangs on a short lease and goes with its holder.
 * Whether one may take it from another is not decided here.
 */
import type { Clock } from '../../process/clock.ts';
import { childOf, Notifier } from '../../process/notifier.ts';
import type { Session } from '../session/session.ts';
import { LeaseKeeper } from './lease-keeper.ts';

export interface FenceOptions {
  readonly key: string;
  /** Our name: no other writer's, but that of a predecessor who is surely gone. */
  readonly holder: string;
  readonly clock: Clock;
}

export interface FenceView {
  readonly clusterId: string;
  /** `predecessor`: one of our name, which is gone if names are what they shall be. */
  readonly holder: 'nobody' | 'us' | 'predecessor' | 'another';
  /** Of the fence; 0 when nobody holds it. */
  readonly revision: string;
}

const TTL_SECONDS = 15;
const TIMEOUT_MS = 5_000;
const NOBODY = '0';

export class Fence {
  readonly #session: Session;
  readonly #key: Buffer;
  readonly #value: Buffer;
  readonly #keeper: LeaseKeeper;
  readonly #changed = new Notifier();
  #lease: string | undefined;
  /** Aborts when the fence is lost. */
  #tenure: AbortController | undefined;

  constructor(session: Session, { key, holder, clock }: FenceOptions) {
    this.#session = session;
    this.#key = Buffer.from(key);
    this.#value = Buffer.from(holder);
    this.#keeper = new LeaseKeeper(session, {
      clock,
      ttlMs: TTL_SECONDS * 1_000,
      ids: () => (this.#lease === undefined ? [] : [this.#lease]),
      lost: (id) => {
        if (id === this.#lease) this.lose();
      },
    });
  }

  /** Undefined while it is not ours; aborts when it is lost. */
  get tenure(): AbortSignal | undefined {
    return this.#tenure?.signal;
  }

  /** That it is ours, for a transaction. */
  get comparison() {
    return { key: this.#key, target: 'Value', result: 'Equal', value: this.#value } as const;
  }

  /** Resolves when it is ours, or the signal aborts. */
  held(signal: AbortSignal): Promise<void> {
    return this.#changed.until(() => this.#tenure !== undefined, signal);
  }

  /** Asks etcd whose it is. Rejects with an `EtcdError`. */
  async look(): Promise<FenceView> {
    const settings = { action: 'see who writes', timeoutMs: TIMEOUT_MS };
    const { header, kvs } = await this.#session.call(settings, ({ kv }, options) =>
      kv.range({ key: this.#key }, options),
    );
    const [entry] = kvs;
    const holder = this.#holderOf(entry);
    if (holder !== 'us') this.lose();
    return { clusterId: header.cluster_id, holder, revision: entry?.mod_revision ?? NOBODY };
  }

  #holderOf(entry: { readonly value: Buffer; readonly lease: string } | undefined): FenceView['holder'] {
    if (!entry) return 'nobody';
    if (!entry.value.equals(this.#value)) return 'another';
    return entry.lease === this.#lease ? 'us' : 'predecessor';
  }

  /** Makes it ours if nobody took or left it since the view. */
  async take({ revision }: FenceView): Promise<void> {
    const settings = { action: 'become the one that writes', timeoutMs: TIMEOUT_MS };
    const { ID: lease } = await this.#session.call(settings, (to, options) => to.grantLease(TTL_SECONDS, options));
    const compare = [{ key: this.#key, target: 'Mod', result: 'Equal', mod_revision: revision } as const];
    const success = [{ request_put: { key: this.#key, value: this.#value, lease } }];
    const { succeeded } = await this.#session.call(settings, ({ kv }, options) =>
      kv.txn({ compare, success }, options),
    );
    if (!succeeded) return;
    this.#lease = lease;
    this.#tenure = childOf(this.#session.closed);
    this.#keeper.ensureRunning();
    this.#changed.notify();
  }

  /** It is not ours any more, as something has shown. */
  lose(): void {
    this.#lease = undefined;
    this.#tenure?.abort();
    this.#tenure = undefined;
  }

  /** Leaves it to others at once. Resolves also when etcd does not answer. */
  async release(): Promise<void> {
    if (!this.#tenure) return;
    this.lose();
    const success = [{ request_delete_range: { key: this.#key } }];
    await this.#session
      .call({ action: 'leave writing to others', timeoutMs: 1_000 }, ({ kv }, options) =>
        kv.txn({ compare: [this.comparison], success }, options),
      )
      .catch(() => {});
  }
}
