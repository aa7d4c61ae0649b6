/**
 * From what the kernel serves to what it shall serve, as operations in two transactions. Pure: `ServedTable` is memory,
 * somebody else talks to nft.
 *
 * `first` adds and switches, `second` removes. A packet that read the old entry of a Service just before the first still
 * finds every slot it may pick, each with a backend of the old or of the new set (D1, D2 of `datapath.ts`).
 */
import {
  backendElement,
  choiceElement,
  choiceOf,
  type Element,
  elementsOf,
  familyOfFrontend,
  isPointer,
  type Served,
} from './elements.ts';
import { type Choice, choiceChain, FAMILIES, type Family, STANDING_CHOICES } from './ruleset.ts';

export type Operation =
  | { readonly verb: 'add' | 'delete'; readonly kind: 'chain'; readonly family: Family; readonly choice: Choice }
  | { readonly verb: 'add' | 'delete'; readonly kind: 'element'; readonly family: Family; readonly element: Element };

export interface Plan {
  readonly first: readonly Operation[];
  readonly second: readonly Operation[];
}

/** By `frontendId`; undefined where the frontend shall go. */
export type ServedChanges = ReadonlyMap<string, Served | undefined>;

/** A chain, the element that names it or a backend's address, and how many frontends need it. */
interface Shared {
  readonly operation: Omit<Operation, 'verb'>;
  readonly uses: number;
}

export class ServedTable {
  readonly frontends = new Map<string, Served>();
  readonly #shared = new Map<string, Shared>();

  constructor() {
    for (const [id, operation] of standing()) this.#shared.set(id, { operation, uses: 1 });
  }

  /** What it takes to make these changes. Changes nothing. */
  plan(changes: ServedChanges): Plan {
    const own = [...changes].map(([id, next]) => diffElements(this.frontends.get(id), next));
    const shared = [...this.#sharedAfter(changes)];
    const gained = shared.filter(([id, { uses }]) => uses > 0 && !this.#shared.has(id)).map(([, s]) => s);
    const lost = shared.filter(([id, { uses }]) => uses === 0 && this.#shared.has(id)).map(([, s]) => s);
    const operationsOn = (verb: 'add' | 'delete', of: readonly Shared[]): Operation[] =>
      inSetOrder(of.map(({ operation }) => ({ ...operation, verb }) as Operation));
    return {
      first: [...operationsOn('add', gained), ...inSetOrder(own.flatMap((diff) => diff.first))],
      second: [...inSetOrder(own.flatMap((diff) => diff.second)), ...operationsOn('delete', lost)],
    };
  }

  /** Notes that these changes are now in the kernel. */
  commit(changes: ServedChanges): void {
    for (const [id, shared] of this.#sharedAfter(changes)) {
      if (shared.uses === 0) this.#shared.delete(id);
      else this.#shared.set(id, shared);
    }
    for (const [id, next] of changes) {
      if (next === undefined) this.frontends.delete(id);
      else this.frontends.set(id, next);
    }
  }

  /** The shared things that these changes touch, with their uses afterwards. */
  #sharedAfter(changes: ServedChanges): Map<string, Shared> {
    const after = new Map<string, Shared>();
    const count = (served: Served | undefined, step: 1 | -1): void => {
      if (served === undefined) return;
      for (const [id, operation] of sharedBy(served)) {
        const before = after.get(id)?.uses ?? this.#shared.get(id)?.uses ?? 0;
        after.set(id, { operation, uses: before + step });
      }
    };
    for (const [id, next] of changes) {
      count(this.frontends.get(id), -1);
      count(next, 1);
    }
    return after;
  }
}

/** What a frontend needs together with others: the chain that chooses, and each backend's address once. */
function* sharedBy(served: Served): Generator<[string, Omit<Operation, 'verb'>]> {
  const choice = choiceOf(served);
  if (choice === undefined) return;
  const family = familyOfFrontend(served.frontend);
  yield* choiceParts(family, choice);
  for (const address of new Set(served.backends.map((backend) => backend.address))) {
    const element = backendElement(address);
    yield [`backend ${address}`, { kind: 'element', family, element } as Omit<Operation, 'verb'>];
  }
}

function* choiceParts(family: Family, choice: Choice): Generator<[string, Omit<Operation, 'verb'>]> {
  const chain = `${family} ${choiceChain(choice)}`;
  yield [`chain ${chain}`, { kind: 'chain', family, choice } as Omit<Operation, 'verb'>];
  yield [`choice ${chain}`, { kind: 'element', family, element: choiceElement(choice) } as Omit<Operation, 'verb'>];
}

const standing = (): [string, Omit<Operation, 'verb'>][] =>
  FAMILIES.flatMap((family) => STANDING_CHOICES.flatMap((choice) => [...choiceParts(family, choice)]));

/** What a table without any Service holds. */
export const standingOperations = (family: Family): readonly Operation[] =>
  standing()
    .map(([, operation]) => ({ ...operation, verb: 'add' }) as Operation)
    .filter((operation) => operation.family === family);

/** The difference between two states of one frontend. An element cannot change: it is deleted and added again. */
function diffElements(
  before: Served | undefined,
  after: Served | undefined,
): { first: Operation[]; second: Operation[] } {
  const first: Operation[] = [];
  const second: Operation[] = [];
  const old = new Map((before === undefined ? [] : elementsOf(before)).map((e) => [`${e.set} ${e.key}`, e]));
  for (const element of after === undefined ? [] : elementsOf(after)) {
    const present = old.get(`${element.set} ${element.key}`);
    old.delete(`${element.set} ${element.key}`);
    if (present?.value === element.value && present.comment === element.comment) continue;
    if (present !== undefined) first.push(operationOn('delete', after, present));
    first.push(operationOn('add', after, element));
  }
  // `refused` is asked before `services`: a packet that asked it just before the switch must still find its service.
  const refusing = after !== undefined && choiceOf(after) === undefined;
  for (const element of old.values()) {
    const now = isPointer(element.set) && !(refusing && element.set === 'services');
    (now ? first : second).push(operationOn('delete', before, element));
  }
  return { first, second };
}

function operationOn(verb: 'add' | 'delete', served: Served | undefined, element: Element): Operation {
  if (served === undefined) throw new Error(`Cannot ${verb} element ${element.key}: it belongs to no frontend`);
  return { verb, kind: 'element', family: familyOfFrontend(served.frontend), element };
}

/** Chains are there before and gone after what names them; deletes before adds, pointers last, and what goes to one set together. */
function inSetOrder(operations: readonly Operation[]): Operation[] {
  const groups = Map.groupBy(operations, orderOf);
  return [...groups.keys()].sort().flatMap((order) => groups.get(order) ?? []);
}

function orderOf(operation: Operation): string {
  if (operation.kind === 'chain') return operation.verb === 'add' ? '0' : '9';
  const { set } = operation.element;
  return `${isPointer(set) ? '2' : '1'} ${operation.verb === 'delete' ? '1' : '2'} ${operation.family} ${set}`;
}
