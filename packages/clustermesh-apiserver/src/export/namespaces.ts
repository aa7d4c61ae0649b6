/** What is known of the Namespaces: which take part in the mesh, and their labels. Shared by services and pods. */
import { isDeepStrictEqual } from 'node:util';
import type { LocalNamespace } from '@tombolo/shared/model/service.ts';

type Texts = Readonly<Record<string, string>>;

export class Namespaces {
  readonly #defaultGlobal: boolean;
  readonly #known = new Map<string, LocalNamespace>();
  readonly #listeners: ((name: string) => void)[] = [];

  constructor(defaultGlobal: boolean) {
    this.#defaultGlobal = defaultGlobal;
  }

  changed(name: string, value: LocalNamespace | undefined): void {
    // Most of what changes in a namespace's life is of no interest here.
    if (isDeepStrictEqual(value, this.#known.get(name))) return;
    if (value) this.#known.set(name, value);
    else this.#known.delete(name);
    for (const listener of this.#listeners) listener(name);
  }

  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  /** False for a namespace that is not there: what is in it is about to go, or will be looked at when it comes. */
  isGlobal(name: string): boolean {
    const known = this.#known.get(name);
    return known !== undefined && (known.global ?? this.#defaultGlobal);
  }

  labelsOf(name: string): Texts {
    return this.#known.get(name)?.labels ?? {};
  }
}
