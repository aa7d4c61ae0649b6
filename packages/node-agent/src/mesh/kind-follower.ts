/**
 * Follows one kind of entry of one cluster into its store, for the length of a session: waits for the canary, lists,
 * watches, decodes.
 *
 * K1. With canaries, nothing is listed before the canary is there: a finished listing does not prove that the writer
 *     had written everything. When the canary is gone, all is listed anew once it is back.
 * K2. A withdrawal takes effect only while the cluster is heard, and only if the canary was in place when the withdrawal
 *     happened. So an etcd that lost its data, or leases that ran out after their writer died, take nothing away; when
 *     the canary is back, a new listing decides.
 * K3. An etcd that was restored from an older snapshot takes nothing away by what it lacks, until its canary was written
 *     anew.
 * K4. What was heard is decoded by and by, and only the last word for each key.
 */
import type { EtcdReader, PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import type { Clock } from '@tombolo/shared/process/clock.ts';
import { Notifier } from '@tombolo/shared/process/notifier.ts';
import { retry } from '@tombolo/shared/process/retry.ts';
import { suffixOf } from '@tombolo/shared/wire/keys.ts';
import { EntryDecoding, type EntryDecodingOptions } from './entry-decoding.ts';
import type { Canary } from './entry-history.ts';
import { runTogether, type Task } from './together.ts';

export interface KindFollowerOptions<T> extends Omit<EntryDecodingOptions<T>, 'sliced'> {
  readonly reader: EtcdReader;
  /** Undefined when the cluster has no canaries. */
  readonly canaryKey: string | undefined;
  /** A listing is waited for. */
  readonly syncing: () => void;
  /** The canary was looked for, and is there or not. */
  readonly canary: (isThere: boolean) => void;
  readonly isHeard: () => boolean;
  /** Notified when a canary changed and when a heartbeat came. */
  readonly signs: Notifier;
}

/** The canary is absent, or was not in place when something was withdrawn, or is a new one after an older state. */
class CanaryMissing extends Error {}

/** Resolves when the signal aborts; rejects when the session is beyond repair. */
export async function followKind<T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    options.syncing();
    const canary = await waitForCanary(options, signal);
    if (signal.aborted) return;
    if (canary !== undefined) options.store.history.begin(canary);
    options.store.beginListing();
    const error = await runTogether(listingTasks(options), signal);
    if (error !== undefined && !(error instanceof CanaryMissing)) throw error;
  }
}

function listingTasks<T>(options: KindFollowerOptions<T>): readonly Task[] {
  /** There may be withdrawals to settle. */
  const settling = new Notifier();
  const decoding = new EntryDecoding({ ...options, sliced: () => settling.notify() });
  return [
    (signal) => decoding.run(signal),
    (signal) => options.reader.follow(options.prefix, (event) => hear(event, options, decoding), signal),
    (signal) => settleWithdrawals(options, settling, signal),
    (signal) => watchCanary(options, settling, signal),
  ];
}

function hear<T>(event: PrefixEvent, { canaryKey, store, prefix }: KindFollowerOptions<T>, decoding: EntryDecoding<T>) {
  const isBack = canaryKey !== undefined && store.history.wentBack(event);
  if (!isBack || event.kind !== 'delete') decoding.add(event);
  else store.keep(suffixOf(event.key, prefix) ?? '');
}

/** Undefined when the cluster has none, or the signal aborted. */
async function waitForCanary<T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<Canary | undefined> {
  while (options.canaryKey !== undefined && !signal.aborted) {
    const seen = options.signs.version;
    const canary = await getPatiently(options, options.canaryKey, signal);
    if (signal.aborted) return undefined;
    options.canary(canary !== undefined);
    if (canary !== undefined) return canary;
    await options.signs.changed(seen, signal);
  }
  return undefined;
}

/** Looks for the canary with each sign; withdrawals that waited for one may then be settled. */
async function watchCanary<T>(options: KindFollowerOptions<T>, settling: Notifier, signal: AbortSignal): Promise<void> {
  for (let seen = options.signs.version; !signal.aborted; ) {
    await options.signs.changed(seen, signal);
    seen = options.signs.version;
    if (options.canaryKey !== undefined) {
      const canary = await getPatiently(options, options.canaryKey, signal);
      if (signal.aborted) return;
      const { history } = options.store;
      if (canary === undefined || (history.isOutdated && history.isNews(canary))) throw new CanaryMissing();
      history.note(canary);
    }
    settling.notify();
  }
}

async function settleWithdrawals<T>(
  options: KindFollowerOptions<T>,
  settling: Notifier,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const seen = settling.version;
    if (options.store.withdrawn.size > 0 && options.isHeard()) await settle(options, signal);
    else await settling.changed(seen, signal);
  }
}

async function settle<T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<void> {
  const { canaryKey, store, changed, flush } = options;
  const upTo = new Map(store.withdrawn);
  if (canaryKey !== undefined) {
    const canary = await getPatiently(options, canaryKey, signal);
    if (signal.aborted) return;
    const placed = canary === undefined ? undefined : BigInt(canary.revision);
    if (placed === undefined || [...upTo.values()].some((revision) => revision < placed)) throw new CanaryMissing();
  }
  for (const key of store.settle(upTo)) changed(key, undefined);
  flush();
}

/** Undefined also when the signal aborted. A failed call says nothing about a session: what is beyond repair ends its watches. */
export const getPatiently = (
  { reader, clock }: { readonly reader: EtcdReader; readonly clock: Clock },
  key: string,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<EtcdReader['get']>>> =>
  retry(() => reader.get(key), { signal, first: 1_000, limit: 30_000, clock });
