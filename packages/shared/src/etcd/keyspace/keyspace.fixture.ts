/** For tests of the keyspace: an etcd in memory that can die, refuse and lose leases, and a clock moved by hand. */
import { setImmediate as turn } from 'node:timers/promises';
import { FakeClock } from '../../process/clock.fixture.ts';
import { type Clock, sleep } from '../../process/clock.ts';
import { type LogFields, silentLogger } from '../../process/logger.ts';
import type { PrefixEvent } from '../read/reader.ts';
import { EtcdError, type EtcdErrorKind } from '../session/errors.ts';
import type { EtcdWriter, LeasedEntries } from '../write/writer.ts';
import { Keyspace } from './keyspace.ts';

/** An etcd in memory: counts, fails on demand, loses leases, lets others interfere. */
export class FakeWriter implements EtcdWriter {
  readonly store = new Map<string, string>();
  /** Keys that somebody else wrote last. */
  readonly foreign = new Set<string>();
  readonly log: string[] = [];
  fail: (key: string) => EtcdErrorKind | undefined = () => undefined;
  inFlight = 0;
  mostInFlight = 0;
  leases = 0;
  readonly fence = undefined;
  readonly #clock: Clock;
  #revision = 0;
  readonly #followers = new Map<(event: PrefixEvent) => void, string>();
  #lost: (keys: readonly string[]) => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async put(key: string, value: Buffer | string): Promise<string> {
    await this.#visit(key, `put ${key}=${value}`);
    this.foreign.delete(key);
    return this.interfere(key, String(value));
  }

  async delete(key: string): Promise<boolean> {
    await this.#visit(key, `delete ${key}`);
    const was = this.store.has(key);
    this.interfere(key, undefined);
    return was;
  }

  /** A write by anybody. */
  interfere(key: string, value: string | undefined): string {
    const revision = String(++this.#revision);
    if (value === undefined) this.store.delete(key);
    else this.store.set(key, value);
    for (const [handle, prefix] of this.#followers) {
      if (!key.startsWith(prefix)) continue;
      handle(
        value === undefined
          ? { kind: 'delete', key, revision }
          : { kind: 'put', key, revision, value: Buffer.from(value) },
      );
    }
    return revision;
  }

  loseLeases(): void {
    const keys = [...this.store.keys()];
    for (const key of keys) this.interfere(key, undefined);
    this.#lost(keys);
  }

  async #visit(key: string, entry: string): Promise<void> {
    this.log.push(entry);
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    await turn();
    this.inFlight--;
    const kind = this.fail(key);
    if (kind) throw new EtcdError(kind, `Cannot write "${key}": ${kind}`);
  }

  async list(prefix: string): Promise<LeasedEntries> {
    const kind = this.fail(prefix);
    if (kind) throw new EtcdError(kind, `Cannot list "${prefix}": ${kind}`);
    const found = [...this.store].filter(([key]) => key.startsWith(prefix));
    const entries = new Map(found.map(([key, v]) => [key, Buffer.from(v)]));
    return { entries, foreign: this.foreign };
  }

  follow(prefix: string, handle: (event: PrefixEvent) => void, signal: AbortSignal): Promise<void> {
    this.#followers.set(handle, prefix);
    handle({ kind: 'synced', revision: String(this.#revision) });
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        this.#followers.delete(handle);
        resolve();
      });
    });
  }

  /** What is foreign has no lease here. */
  adopt(prefix: string): Promise<LeasedEntries> {
    return this.list(prefix);
  }

  ready = (signal: AbortSignal) => sleep(this.#clock, 1_000, signal);

  onKeysLost(listener: (keys: readonly string[]) => void): void {
    this.#lost = listener;
  }

  vouch = () => Promise.reject(new Error('not used here'));
  retract = () => {};
  get = () => Promise.reject(new Error('not used here'));
  close = () => {};
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await turn();
}

/** Lets so much time pass, and whatever comes of it happen. */
export async function pass(clock: FakeClock, ms: number): Promise<void> {
  await settled();
  for (let left = ms; left > 0; left -= 500) {
    await clock.advance(Math.min(left, 500));
    await settled();
  }
}

export function open(parallel = 4) {
  const clock = new FakeClock();
  const writer = new FakeWriter(clock);
  /** `level message` with the fields, each line that is logged. */
  const logged: (readonly [line: string, fields: LogFields])[] = [];
  const note = (level: string) => (fields: LogFields, msg: string) => void logged.push([`${level} ${msg}`, fields]);
  const logger = { ...silentLogger, debug: note('debug'), info: note('info'), warn: note('warn') };
  const keyspace = new Keyspace(writer, { parallel, clock, logger, random: () => 0.5 });
  return { writer, clock, keyspace, logged };
}
