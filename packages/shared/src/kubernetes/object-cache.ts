/**
 * What was last handed over for each object of one collection: tells news from repetition, and after a complete
 * listing what has vanished. Converts, and calls the handler; does no I/O.
 */
import type { Logger } from '../process/logger.ts';
import type { Convert } from './conversion.ts';
import type { ChangeHandler } from './informer.ts';
import type { RawObject } from './watch-event.ts';

export class ObjectCache<T> {
  readonly #convert: Convert<T>;
  readonly #handler: ChangeHandler<T>;
  readonly #log: Logger;
  readonly #now: () => number;
  /** resourceVersions by key. */
  readonly #known = new Map<string, string>();
  /** The warnings last logged by key, so that each is said once and not at every change of the object. */
  readonly #warned = new Map<string, string>();

  constructor(convert: Convert<T>, handler: ChangeHandler<T>, log: Logger, now: () => number) {
    this.#convert = convert;
    this.#handler = handler;
    this.#log = log;
    this.#now = now;
  }

  present({ key, resourceVersion, object }: RawObject): void {
    if (key === '') {
      this.#handler.refused('', 'metadata.name must not be empty');
      return;
    }
    const previous = this.#known.get(key);
    if (previous === resourceVersion && resourceVersion !== '') return;
    this.#known.set(key, resourceVersion);
    const converted = this.#convert(object, this.#now());
    this.#warn(key, converted.kind === 'value' ? converted.warnings : []);
    switch (converted.kind) {
      case 'value':
        this.#handler.changed(key, converted.value);
        break;
      case 'ignored':
        if (previous !== undefined) this.#handler.changed(key, undefined);
        break;
      case 'refused':
        this.#handler.refused(key, converted.reason);
        break;
    }
  }

  gone(key: string): void {
    this.#warned.delete(key);
    if (this.#known.delete(key)) this.#handler.changed(key, undefined);
  }

  /** `keys` is everything that exists. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of [...this.#known.keys()]) if (!keys.has(key)) this.gone(key);
  }

  synced(): void {
    this.#handler.synced();
  }

  #warn(key: string, warnings: readonly string[]): void {
    const text = warnings.join('; ');
    if (text === (this.#warned.get(key) ?? '')) return;
    if (text === '') this.#warned.delete(key);
    else this.#warned.set(key, text);
    for (const warning of warnings) this.#log.warn({ object: key, warning }, 'Object is used in part');
  }
}
