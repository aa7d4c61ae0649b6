/**
 * Who may ask services with source ranges, as entries of `source_ranges` (bpf/layout.h). Whoever is not found there is
 * left to nftables. So ranges are taken out before an entry of theirs is changed, and put in after that: nobody gets in by
 * a range that another service had there, and all that a missing one costs is time.
 */
import { type Cidr, familyOf } from '@tombolo/shared/model/ip.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { deleteElement, eachKey, writeElement } from '../bpf-calls.ts';
import { getServiceKey, putAddress, putServiceKey } from '../layout.ts';
import type { MapFrontend } from '../map-entry.ts';

/** Bytes of a key: the length of its prefix, whose entry, and from where. */
export const RANGE_KEY = 40;
const [SERVICE_AT, CLIENT_AT] = [4, 24];
/** As in bpf/packet-maps.h. */
const MOST = 65_536;
const VALUE = Buffer.from([1]);

/** Keys (hex) by `frontendId`; with none, all of that frontend's go. */
export type WantedRanges = ReadonlyMap<string, ReadonlySet<string>>;

/** For an entry whose clients are admitted from there. */
export const rangeKeys = (entry: MapFrontend, ranges: readonly Cidr[]): ReadonlySet<string> =>
  new Set(
    ranges.map(({ address, length }) => {
      const key = Buffer.alloc(RANGE_KEY);
      putServiceKey(key, SERVICE_AT, entry);
      putAddress(key, CLIENT_AT, address);
      key.writeUInt32LE(8 * (CLIENT_AT - SERVICE_AT) + (familyOf(address) === 4 ? 96 : 0) + length);
      return key.toString('hex');
    }),
  );

export class SourceRanges {
  /** What is in the map, as long as nobody else writes to it. */
  readonly #held = new Map<string, Set<string>>();
  #count = 0;

  /** The frontends that have any. */
  get ids(): Iterable<string> {
    return this.#held.keys();
  }

  /** The share of the entries that is taken. */
  get fill(): number {
    return this.#count / MOST;
  }

  /** Reads what is there. */
  read(map: number): void {
    this.#held.clear();
    this.#count = 0;
    for (const key of eachKey(map, RANGE_KEY)) this.#note(frontendOf(key), key.toString('hex'));
  }

  /** Of these frontends, what is not wanted any more. */
  takeOut(map: number, wanted: WantedRanges): void {
    for (const [id, keys] of wanted) {
      const held = this.#held.get(id);
      for (const key of held ?? []) {
        if (keys.has(key)) continue;
        deleteElement(map, Buffer.from(key, 'hex'));
        held?.delete(key);
        this.#count -= 1;
      }
      if (held?.size === 0) this.#held.delete(id);
    }
  }

  /** What is missing. Throws where it does not fit: those clients are nftables' then. */
  putIn(map: number, wanted: WantedRanges): void {
    for (const [id, keys] of wanted) {
      for (const key of keys) {
        if (this.#held.get(id)?.has(key)) continue;
        writeElement(map, Buffer.from(key, 'hex'), VALUE);
        this.#note(id, key);
      }
    }
  }

  /** Whether the map holds what is known, and nothing else. */
  isAsKnown(map: number): boolean {
    let count = 0;
    for (const key of eachKey(map, RANGE_KEY)) {
      if (!this.#held.get(frontendOf(key))?.has(key.toString('hex'))) return false;
      count += 1;
    }
    return count === this.#count;
  }

  #note(id: string, key: string): void {
    const held = this.#held.get(id);
    if (held) held.add(key);
    else this.#held.set(id, new Set([key]));
    this.#count += 1;
  }
}

const frontendOf = (key: Buffer): string => frontendId(getServiceKey(key, SERVICE_AT));
