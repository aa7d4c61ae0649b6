/** What becomes of one Kubernetes object: a value of the model, nothing (not for us), or a refusal with its reason. */
import type { Json } from './json.ts';

export type Conversion<T> =
  | {
      readonly kind: 'value';
      readonly value: T;
      /** Sentences about parts that were left out or read as their defaults. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'refused'; readonly reason: string };

/** Turns the raw object into a value; `at` is when it was heard, in ms since the epoch (0: unknown). Pure. */
export type Convert<T> = (json: Json, at?: number) => Conversion<T>;
