/**
 * Which key hangs on which lease. A lease takes a limited number of keys (etcd slows down with many), then another is
 * granted; leases that a predecessor left on its keys are taken over as they are. Owns the book only: granting is handed
 * in, keeping alive is the keeper's.
 */
interface Slot {
  readonly lease: Promise<string>;
  readonly keys: Set<string>;
  /** Undefined until it was granted. */
  id?: string;
  /** May get further keys: one that was taken over may have another time to live than those that are granted now. */
  readonly open: boolean;
}

export class LeasePool {
  readonly #grant: () => Promise<string>;
  readonly #keysPerLease: number;
  readonly #slots = new Set<Slot>();
  readonly #slotOfKey = new Map<string, Slot>();

  constructor(grant: () => Promise<string>, keysPerLease: number) {
    this.#grant = grant;
    this.#keysPerLease = keysPerLease;
  }

  /** Leases that were granted or taken over, and not lost. */
  get ids(): readonly string[] {
    return [...this.#slots].flatMap(({ id }) => id ?? []);
  }

  /** The lease to write this key with: always the same while it lives. Rejects when none could be granted. */
  leaseFor(key: string): Promise<string> {
    const slot = this.#slotOfKey.get(key) ?? this.#slotWithRoom();
    this.#attach(key, slot);
    return slot.lease;
  }

  /** The key was found on this lease. */
  adopt(key: string, id: string): void {
    this.release(key);
    const slot = this.#slotOf(id) ?? { lease: Promise.resolve(id), keys: new Set(), id, open: false };
    this.#slots.add(slot);
    this.#attach(key, slot);
  }

  /** The key was deleted: its place is free. */
  release(key: string): void {
    this.#slotOfKey.get(key)?.keys.delete(key);
    this.#slotOfKey.delete(key);
  }

  /** etcd does not know the lease any more. Its keys, which are gone with it; none when it was reported before. */
  lose(id: string): readonly string[] {
    const slot = this.#slotOf(id);
    return slot ? this.#forget(slot) : [];
  }

  #slotOf(id: string): Slot | undefined {
    return [...this.#slots].find((slot) => slot.id === id);
  }

  #attach(key: string, slot: Slot): void {
    slot.keys.add(key);
    this.#slotOfKey.set(key, slot);
  }

  #slotWithRoom(): Slot {
    for (const slot of this.#slots) if (slot.open && slot.keys.size < this.#keysPerLease) return slot;
    const slot: Slot = { lease: this.#grant(), keys: new Set(), open: true };
    this.#slots.add(slot);
    slot.lease.then(
      (id) => {
        slot.id = id;
      },
      () => this.#forget(slot),
    );
    return slot;
  }

  #forget(slot: Slot): readonly string[] {
    this.#slots.delete(slot);
    for (const key of slot.keys) this.#slotOfKey.delete(key);
    return [...slot.keys];
  }
}
