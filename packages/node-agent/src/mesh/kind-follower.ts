/**
 * Follows one kind of entry of one cluster into its store, for the length of a session: waits for the canary, lists,
 * watches, decodes.
 *
 * K1. With canaries, nothing is listed before the canary is there: a finished listing does not prove that the writer
 *     had written everything.
 * K2. A withdrawal takes effect only while the cluster is heard, and only if the canary was in place when the withdrawal
 *     happened. So an etcd that lost its data, or leases that ran out after their writer died, take nothing away; when
 *     the canary is back, a new listing decides.
 */
import type { EtcdReader, PrefixEvent } from '@tombolo/shared/etcd/read/reader.ts';
import type { Result } from '@tombolo/shared/model/result.ts';
import { suffixOf } from '@tombolo/shared/wire/keys.ts';
import type { EntryStore } from './entry-store.ts';
import { type Bell, runTogether } from './tasks.ts';

export interface KindFollowerOptions<T> {
  readonly reader: EtcdReader;
  readonly prefix: string;
  /** Undefined when the cluster has no canaries. */
  readonly canaryKey: string | undefined;
  readonly store: EntryStore<T>;
  readonly decode: (suffix: string, value: Buffer, revision: string) => Result<T>;
  readonly changed: (suffix: string, value: T | undefined) => void;
  readonly refused: (key: string, reason: string) => void;
  /** A listing is waited for. */
  readonly syncing: () => void;
  /** The first listing is complete, and again after each later one that the canary made necessary. */
  readonly listed: () => void;
  readonly isHeard: () => boolean;
  /** Rung when a canary changed and when a heartbeat came. */
  readonly bell: Bell;
  readonly now: () => number;
}

/** The canary was not in place when something was withdrawn. */
class CanaryMissing extends Error {}

/** Resolves when the signal aborts; rejects when the session is beyond repair. */
export async function followKind<T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<void> {
  ringAtEnd(options.bell, signal);
  while (!signal.aborted) {
    options.syncing();
    await waitForCanary(options, signal);
    if (signal.aborted) return;
    options.store.beginListing();
    const error = await runTogether([(s) => follow(options, s), (s) => settleWithdrawals(options, s)], signal);
    if (error !== undefined && !(error instanceof CanaryMissing)) throw error;
  }
}

function ringAtEnd(bell: Bell, signal: AbortSignal): void {
  if (signal.aborted) bell.ring();
  else signal.addEventListener('abort', () => bell.ring(), { once: true });
}

async function waitForCanary<T>(
  { reader, canaryKey, bell }: KindFollowerOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  while (canaryKey !== undefined && !signal.aborted) {
    const next = bell.next();
    if ((await reader.get(canaryKey)) !== undefined) return;
    await next;
  }
}

const follow = <T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<void> =>
  options.reader.follow(options.prefix, (event) => applyEvent(options, event), signal);

function applyEvent<T>(options: KindFollowerOptions<T>, event: PrefixEvent): void {
  const { store, prefix, bell } = options;
  if (event.kind === 'synced') {
    store.endListing(event.revision);
    options.listed();
    bell.ring();
    return;
  }
  const suffix = suffixOf(event.key, prefix);
  if (suffix === undefined) return;
  if (event.kind === 'delete') {
    store.withdraw(suffix, event.revision);
    bell.ring();
    return;
  }
  const value = options.decode(suffix, event.value, event.revision);
  const outcome = store.put(suffix, value, event.key, options.now());
  if (!value.ok) options.refused(event.key, value.error);
  else if (outcome === 'changed') options.changed(suffix, value.value);
}

async function settleWithdrawals<T>(options: KindFollowerOptions<T>, signal: AbortSignal): Promise<void> {
  ringAtEnd(options.bell, signal);
  while (!signal.aborted) {
    const next = options.bell.next();
    if (options.store.withdrawn.size > 0 && options.isHeard()) await settle(options, signal);
    else await next;
  }
}

async function settle<T>(
  { reader, canaryKey, store, changed }: KindFollowerOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  const upTo = new Map(store.withdrawn);
  if (canaryKey !== undefined) {
    const canary = await reader.get(canaryKey);
    if (signal.aborted) return;
    const placed = canary === undefined ? undefined : BigInt(canary.revision);
    if (placed === undefined || [...upTo.values()].some((revision) => revision < placed)) throw new CanaryMissing();
  }
  for (const key of store.settle(upTo)) changed(key, undefined);
}
