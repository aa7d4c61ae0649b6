/**
 * What a transaction does, in the order in which the kernel must be told: chains are there before and gone after what
 * names them, deletes come before adds, pointers last, and what goes to one set goes together.
 */
import type { Choice } from './choices.ts';
import type { Element } from './element-codec.ts';
import { isPointer } from './elements.ts';
import { FAMILIES, type Family } from './family.ts';
import { SETS, type SetName } from './sets.ts';

type Verb = 'add' | 'delete';

export type TableOperation =
  | { readonly kind: 'chain'; readonly verb: Verb; readonly family: Family; readonly choice: Choice }
  | {
      readonly kind: 'elements';
      readonly verb: Verb;
      readonly family: Family;
      readonly set: SetName;
      readonly elements: readonly Element[];
    };

type ElementGroup = Extract<TableOperation, { kind: 'elements' }> & { readonly elements: Element[] };

export class Operations {
  readonly #newChains: TableOperation[] = [];
  readonly #oldChains: TableOperation[] = [];
  readonly #groups: (ElementGroup | undefined)[] = [];

  chain(verb: Verb, family: Family, choice: Choice): void {
    (verb === 'add' ? this.#newChains : this.#oldChains).push({ kind: 'chain', verb, family, choice });
  }

  element(verb: Verb, family: Family, element: Element): void {
    const { set } = element;
    const at =
      ((isPointer(set) ? 2 : 0) + (verb === 'add' ? 1 : 0)) * FAMILIES.length * SETS.length +
      (family === 'ip' ? 0 : SETS.length) +
      SETS.indexOf(set);
    const group = this.#groups[at] ?? { kind: 'elements', verb, family, set, elements: [] };
    this.#groups[at] = group;
    group.elements.push(element);
  }

  list(): readonly TableOperation[] {
    return [...this.#newChains, ...this.#groups.filter((group) => group !== undefined), ...this.#oldChains];
  }
}
