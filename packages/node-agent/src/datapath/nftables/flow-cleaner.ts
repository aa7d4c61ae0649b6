/**
 * Keeps connection tracking in step with what is served (`stale-flows.ts`): after each change of UDP frontends, and
 * completely after a start, after tables were written anew, and now and then, since an agent may die in between and
 * others change connection tracking, too. A failure costs nothing but time: such flows end by their own timeout.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Conntrack } from './conntrack.ts';
import type { Served } from './slots.ts';
import { changedFlows, FlowJudge, type FlowPlace, UDP } from './stale-flows.ts';

/** With more places than these, all UDP flows are looked at once. */
const MANY = 32;
/** Between two complete looks, in ms; longer where looking takes long, so that it takes 1 % at the most. */
const EVERY_MS = 60_000;
const SHARE = 100;

type ServedById = ReadonlyMap<string, Served>;

export class FlowCleaner {
  readonly #conntrack: Conntrack | undefined;
  readonly #log: Logger;
  #underWay: Promise<void> = Promise.resolve();
  #dueAt = 0;
  #places: FlowPlace[] = [];
  #gone = new Map<string, Served>();

  /** Without connection tracking it does nothing. */
  constructor(conntrack: Conntrack | undefined, log: Logger) {
    this.#conntrack = conntrack;
    this.#log = log;
  }

  /** To be called when the changes are in the kernel. */
  note(before: ServedById, changes: ReadonlyMap<string, Served | undefined>): void {
    const { places, gone } = changedFlows(before, changes);
    this.#places.push(...places);
    for (const [id, served] of gone) this.#gone.set(id, served);
  }

  /** Everything may have changed. */
  noteAll(): void {
    this.#dueAt = 0;
  }

  /** Deletes what is stale at the places that were noted; anywhere, if everything may have changed. One after another. */
  clean(served: ServedById): Promise<void> {
    return this.#afterOthers(() => this.#clean(served, this.#dueAt === 0));
  }

  /** The same, and anywhere when it is time for that: it may take seconds, and nothing waits for it. */
  cleanNowAndThen(served: ServedById): Promise<void> {
    return this.#afterOthers(() => this.#clean(served, performance.now() >= this.#dueAt));
  }

  async close(): Promise<void> {
    await this.#underWay;
    await this.#conntrack?.close();
  }

  #afterOthers(body: () => Promise<void>): Promise<void> {
    this.#underWay = this.#underWay.then(body);
    return this.#underWay;
  }

  async #clean(served: ServedById, isDue: boolean): Promise<void> {
    const [places, gone] = [this.#places, this.#gone];
    this.#places = [];
    this.#gone = new Map();
    if (!this.#conntrack || (!isDue && places.length === 0)) return;
    const judge = new FlowJudge(served, gone);
    const started = performance.now();
    if (isDue || places.length > MANY) {
      await this.#deleteStale(judge, 4, {});
      await this.#deleteStale(judge, 6, {});
    } else for (const place of places) await this.#deleteStale(judge, place.family, place);
    const now = performance.now();
    if (isDue) this.#dueAt = now + Math.max(EVERY_MS, SHARE * (now - started));
  }

  async #deleteStale(judge: FlowJudge, family: 4 | 6, { address, port }: Partial<FlowPlace>): Promise<void> {
    const filter = { protocol: UDP, destination: address, destinationPort: port };
    try {
      const deleted = await this.#conntrack?.deleteWhere(family, filter, (entry) => judge.isStale(entry));
      if (deleted) this.#log.debug({ deleted, ...filter }, 'deleted stale UDP flows');
    } catch (error) {
      this.#log.warn({ error }, 'stale UDP flows could not be deleted; they end by their own timeout');
    }
  }
}
