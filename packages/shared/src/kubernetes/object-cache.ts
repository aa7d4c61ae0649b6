/**
 * What was last handed over for each object of one collection: tells news from repetition, and after a complete
 * listing what has vanished. Converts, and calls the handler; does no I/O.
 */
import type { Logger } from '../process/logger.ts';
import type { Conversion, Convert } from './conversion.ts';
import type { RawObject } from './watch-event.ts';

/** Absolute facts about the objects of one collection. A broken API server removes nothing. */
export interface ChangeHandler<T> {
  /** The object under `key` now; `undefined` when a delete event or a complete new listing said that it is gone. */
  changed(key: string, value: T | undefined): void;
  /** After the first complete listing was handed over, and again after each relisting. */
  synced(): void;
  /** An object that cannot be used, with the reason, once. The last good value, if any, stays in force. */
  refused(key: string, reason: string): void;
}

interface Read<T> {
  readonly resourceVersion: string;
  readonly conversion: Conversion<T>;
}

/** A listing under way: what is new of each of its keys, undefined where nothing is. */
export type Listing<T> = Map<string, Read<T> | undefined>;

export class ObjectCache<T> {
  readonly #convert: Convert<T>;
  readonly #handler: ChangeHandler<T>;
  readonly #log: Logger;
  readonly #now: () => number;
  /** resourceVersions by key. */
  readonly #known = new Map<string, string>();
  /** The warnings or the refusal last told by key, so that each is said once and not at every change of the object. */
  readonly #warned = new Map<string, string>();

  constructor(convert: Convert<T>, handler: ChangeHandler<T>, log: Logger, now: () => number) {
    this.#convert = convert;
    this.#handler = handler;
    this.#log = log;
    this.#now = now;
  }

  /** Everything that is still there will be read and handed over anew. */
  distrust(): void {
    for (const key of this.#known.keys()) this.#known.set(key, '');
  }

  present(raw: RawObject): void {
    this.#apply(raw.key, this.#read(raw));
  }

  /** Adds one page. Converts at once, so that not the whole listing has to be held in its raw form. */
  collect(listing: Listing<T>, items: readonly RawObject[]): void {
    for (const raw of items) listing.set(raw.key, this.#read(raw));
  }

  /** Takes over a complete listing in one go, so that nobody sees an endpoint between two of its slices. */
  replace(listing: Listing<T>): void {
    for (const [key, read] of listing) this.#apply(key, read);
    // An object without a name could be any of those that seem to have vanished.
    if (!listing.has('')) for (const key of [...this.#known.keys()]) if (!listing.has(key)) this.gone(key);
    this.#handler.synced();
  }

  gone(key: string): void {
    this.#warned.delete(key);
    if (this.#known.delete(key)) this.#handler.changed(key, undefined);
  }

  /** Undefined for a repetition. */
  #read({ key, resourceVersion, object }: RawObject): Read<T> | undefined {
    if (resourceVersion !== '' && this.#known.get(key) === resourceVersion) return undefined;
    return { resourceVersion, conversion: this.#convert(object, this.#now()) };
  }

  #apply(key: string, read: Read<T> | undefined): void {
    if (key === '') {
      this.#handler.refused('', 'metadata.name must not be empty');
      return;
    }
    if (read === undefined) return;
    const { resourceVersion, conversion } = read;
    const isNew = !this.#known.has(key);
    this.#known.set(key, resourceVersion);
    if (conversion.kind !== 'refused') this.#warn(key, conversion.kind === 'value' ? conversion.warnings : []);
    switch (conversion.kind) {
      case 'value':
        this.#handler.changed(key, conversion.value);
        break;
      case 'ignored':
        if (!isNew) this.#handler.changed(key, undefined);
        break;
      case 'refused':
        if (this.#isNews(key, conversion.reason)) this.#handler.refused(key, conversion.reason);
        break;
    }
  }

  #warn(key: string, warnings: readonly string[]): void {
    if (!this.#isNews(key, warnings.join('; '))) return;
    for (const warning of warnings) this.#log.warn({ object: key, warning }, 'Object is used in part');
  }

  #isNews(key: string, text: string): boolean {
    if (text === (this.#warned.get(key) ?? '')) return false;
    if (text === '') this.#warned.delete(key);
    else this.#warned.set(key, text);
    return true;
  }
}
