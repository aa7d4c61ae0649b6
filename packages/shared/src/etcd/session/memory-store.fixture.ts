/**
 * What an etcd keeps, in memory: every version of every key, ranges at revisions, transactions and compaction. No network
 * and no leases beyond their ids: those are in `memory-etcd.fixture.ts`.
 */
import type { IRangeRequest } from 'etcd3';
import type { KeyEvent, KeyValue, RangeAnswer } from './connection.ts';

export interface Change {
  readonly key: Buffer;
  /** Undefined: it is deleted. */
  readonly value: Buffer | undefined;
  readonly lease: string;
}

/** What gRPC's client throws. */
export const grpcError = (code: number, details: string): Error => Object.assign(new Error(details), { code, details });

const ZERO = Buffer.from([0]);
/** Byte for byte. */
const nameOf = (key: Buffer): string => key.toString('latin1');

export class MemoryStore {
  readonly #versions = new Map<string, KeyEvent[]>();
  #events: { readonly revision: bigint; readonly events: readonly KeyEvent[] }[] = [];
  #revision = 1n;
  #compacted = 0n;

  get revision(): bigint {
    return this.#revision;
  }

  get compacted(): bigint {
    return this.#compacted;
  }

  clone(): MemoryStore {
    const copy = new MemoryStore();
    for (const [key, versions] of this.#versions) copy.#versions.set(key, [...versions]);
    copy.#events = [...this.#events];
    copy.#revision = this.#revision;
    copy.#compacted = this.#compacted;
    return copy;
  }

  range({ key = ZERO, range_end, limit = 0, revision = 0 }: IRangeRequest): Omit<RangeAnswer, 'header'> {
    const at = BigInt(revision) === 0n ? this.#revision : BigInt(revision);
    if (at > this.#revision) throw grpcError(11, 'etcdserver: mvcc: required revision is a future revision');
    if (at < this.#compacted) throw grpcError(11, 'etcdserver: mvcc: required revision has been compacted');
    const names = range_end?.length ? this.#versions.keys() : [nameOf(key)];
    const found = [...names]
      .filter((name) => isInside(Buffer.from(name, 'latin1'), key, range_end))
      .flatMap((name) => this.#versions.get(name)?.findLast(({ kv }) => BigInt(kv.mod_revision) <= at) ?? [])
      .flatMap(({ type, kv }) => (type === 'Put' ? [kv] : []))
      .sort((a, b) => a.key.compare(b.key));
    const kvs = Number(limit) > 0 ? found.slice(0, Number(limit)) : found;
    return { kvs, more: kvs.length < found.length };
  }

  /** All in one revision; what deletes nothing is nothing. */
  apply(changes: readonly Change[]): readonly KeyEvent[] {
    const revision = String(this.#revision + 1n);
    const events = changes.flatMap(({ key, value, lease }): KeyEvent[] => {
      const [before] = this.range({ key }).kvs;
      if (!value && !before) return [];
      const kv: KeyValue = value
        ? { key, value, lease, mod_revision: revision, create_revision: before?.create_revision ?? revision }
        : { key, value: Buffer.alloc(0), lease: '0', mod_revision: revision, create_revision: '0' };
      return [{ type: value ? 'Put' : 'Delete', kv }];
    });
    if (events.length === 0) return [];
    this.#revision++;
    this.#events.push({ revision: this.#revision, events });
    for (const event of events) {
      const name = nameOf(event.kv.key);
      const versions = this.#versions.get(name) ?? [];
      versions.push(event);
      this.#versions.set(name, versions);
    }
    return events;
  }

  /** One batch for each revision. */
  since(revision: bigint): readonly (readonly KeyEvent[])[] {
    return this.#events.filter((each) => each.revision >= revision).map(({ events }) => events);
  }

  compact(revision: bigint): void {
    this.#compacted = revision;
    this.#events = this.#events.filter((each) => each.revision >= revision);
  }
}

export function isInside(probe: Buffer, key: Buffer, end: Buffer | undefined): boolean {
  if (!end || end.length === 0) return probe.equals(key);
  return probe.compare(key) >= 0 && (end.equals(ZERO) || probe.compare(end) < 0);
}
