/**
 * From what the kernel serves to what it shall serve, as operations in two transactions. Pure: `ServedTable` is memory,
 * somebody else talks to the kernel.
 *
 * `first` adds and switches, `second` removes. A packet that read the old entry of a Service just before the first still
 * finds every slot it may pick, each with a backend of the old or of the new set (D1, D2 of `datapath.ts`).
 */
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import { type Choice, choiceChain, STANDING_CHOICES } from './choices.ts';
import type { Element } from './element-codec.ts';
import {
  backendElement,
  choiceElement,
  choiceOf,
  familyOfFrontend,
  headElements,
  isPointer,
  sameBackend,
  slotElements,
} from './elements.ts';
import { FAMILIES, type Family } from './family.ts';
import { type Placed, place, type Served } from './slots.ts';

type Target =
  | { readonly kind: 'chain'; readonly family: Family; readonly choice: Choice }
  | { readonly kind: 'element'; readonly family: Family; readonly element: Element };
export type Operation = Target & { readonly verb: 'add' | 'delete' };

/** By `frontendId`; undefined where the frontend shall go. */
export type ServedChanges = ReadonlyMap<string, Served | undefined>;

export interface Plan {
  readonly first: readonly Operation[];
  readonly second: readonly Operation[];
  /** What is then in the kernel. */
  readonly frontends: ReadonlyMap<string, Placed | undefined>;
  /** How many need each shared thing, where that changes. */
  readonly uses: ReadonlyMap<string, number>;
}

export class ServedTable {
  readonly frontends = new Map<string, Placed>();
  /** How many slots or frontends need a backend's address, or a chain that chooses. */
  readonly #uses = new Map<string, number>();

  constructor() {
    for (const family of FAMILIES) for (const choice of STANDING_CHOICES) this.#uses.set(chainId(family, choice), 1);
  }

  /** Notes what was found in the kernel. */
  adopt(found: Iterable<Placed>): void {
    const uses = new Uses(this.#uses);
    for (const placed of found) {
      this.frontends.set(frontendId(placed.frontend), placed);
      uses.count(undefined, placed, changedSlots(undefined, placed));
    }
    for (const [id, count] of uses.after) this.#uses.set(id, count);
  }

  /** What it takes to make these changes. Changes nothing. */
  plan(changes: ServedChanges): Plan {
    const frontends = new Map<string, Placed | undefined>();
    const uses = new Uses(this.#uses);
    const own: Operations = { first: [], second: [] };
    for (const [id, next] of changes) {
      const before = this.frontends.get(id);
      const after = next && place(before, next);
      const slots = changedSlots(before, after);
      diffElements(before, after, slots, own);
      uses.count(before, after, slots);
      frontends.set(id, after);
    }
    const { gained, lost } = uses.difference();
    return {
      first: [...inSetOrder(gained), ...inSetOrder(own.first)],
      second: [...inSetOrder(own.second), ...inSetOrder(lost)],
      frontends,
      uses: uses.after,
    };
  }

  /** What it takes to write all that is here into tables that hold only what is always there. */
  planAll(): readonly Operation[] {
    const empty = new ServedTable();
    const own: Operations = { first: [], second: [] };
    const uses = new Uses(empty.#uses);
    for (const placed of this.frontends.values()) {
      const slots = changedSlots(undefined, placed);
      diffElements(undefined, placed, slots, own);
      uses.count(undefined, placed, slots);
    }
    return [...inSetOrder(uses.difference().gained), ...inSetOrder(own.first)];
  }

  /** Notes that a plan was carried out. */
  commit({ frontends, uses }: Plan): void {
    for (const [id, count] of uses) {
      if (count === 0) this.#uses.delete(id);
      else this.#uses.set(id, count);
    }
    for (const [id, placed] of frontends) {
      if (placed === undefined) this.frontends.delete(id);
      else this.frontends.set(id, placed);
    }
  }
}

const chainId = (family: Family, choice: Choice): string => `${family} ${choiceChain(choice)}`;

/** What frontends need together, counted as changes go by: chains that choose, and addresses of backends. */
class Uses {
  readonly #before: ReadonlyMap<string, number>;
  readonly #targets = new Map<string, () => readonly Target[]>();
  readonly after = new Map<string, number>();

  constructor(before: ReadonlyMap<string, number>) {
    this.#before = before;
  }

  count(before: Placed | undefined, after: Placed | undefined, slots: readonly number[]): void {
    for (const [placed, step] of [
      [before, -1],
      [after, 1],
    ] as const) {
      if (placed === undefined) continue;
      const family = familyOfFrontend(placed.frontend);
      const choice = choiceOf(placed);
      if (choice !== undefined) {
        this.#add(chainId(family, choice), step, () => choiceTargets(family, choice));
      }
      for (const slot of slots) {
        const address = placed.slots[slot]?.address;
        if (address === undefined) continue;
        this.#add(address, step, () => [{ kind: 'element', family, element: backendElement(address) }]);
      }
    }
  }

  difference(): { readonly gained: Operation[]; readonly lost: Operation[] } {
    const gained: Operation[] = [];
    const lost: Operation[] = [];
    for (const [id, uses] of this.after) {
      const had = this.#before.has(id);
      const [verb, into] = uses > 0 ? (['add', gained] as const) : (['delete', lost] as const);
      if (had === uses > 0) continue;
      for (const target of this.#targets.get(id)?.() ?? []) into.push({ ...target, verb });
    }
    return { gained, lost };
  }

  #add(id: string, step: 1 | -1, targets: () => readonly Target[]): void {
    const before = this.after.get(id) ?? this.#before.get(id) ?? 0;
    if (!this.#targets.has(id)) this.#targets.set(id, targets);
    this.after.set(id, before + step);
  }
}

const choiceTargets = (family: Family, choice: Choice): readonly Target[] => [
  { kind: 'chain', family, choice },
  { kind: 'element', family, element: choiceElement(choice) },
];

/** What a table without any Service holds. */
export const standingOperations = (family: Family): readonly Operation[] =>
  inSetOrder(
    STANDING_CHOICES.flatMap((choice) => choiceTargets(family, choice)).map((target) => ({ ...target, verb: 'add' })),
  );

/** The slots in which two states of a frontend differ. */
function changedSlots(before: Placed | undefined, after: Placed | undefined): readonly number[] {
  const wasSticky = (before?.ids.length ?? 0) > 0;
  const isSticky = (after?.ids.length ?? 0) > 0;
  const changed: number[] = [];
  for (let slot = 0; slot < Math.max(before?.slots.length ?? 0, after?.slots.length ?? 0); slot += 1) {
    const same = wasSticky === isSticky && before?.ids[slot] === after?.ids[slot];
    if (!same || !sameBackend(before?.slots[slot], after?.slots[slot])) changed.push(slot);
  }
  return changed;
}

interface Operations {
  readonly first: Operation[];
  readonly second: Operation[];
}

/** The difference between two states of one frontend. An element cannot change: it is deleted and added again. */
function diffElements(
  before: Placed | undefined,
  after: Placed | undefined,
  slots: readonly number[],
  { first, second }: Operations,
): void {
  const frontend = (after ?? before)?.frontend;
  if (frontend === undefined) return;
  const family = familyOfFrontend(frontend);
  const elements = (placed: Placed | undefined): readonly Element[] =>
    placed === undefined ? [] : [...headElements(placed), ...slots.flatMap((slot) => slotElements(placed, slot))];
  const old = new Map(elements(before).map((element) => [identityOf(element), element]));
  for (const element of elements(after)) {
    const present = old.size === 0 ? undefined : old.get(identityOf(element));
    if (present !== undefined) {
      old.delete(identityOf(element));
      if (present.value.join() === element.value.join() && present.comment === element.comment) continue;
      first.push({ verb: 'delete', kind: 'element', family, element: present });
    }
    first.push({ verb: 'add', kind: 'element', family, element });
  }
  // `refused` is asked before `services`: a packet that asked it just before the switch must still find its service.
  const refusing = after !== undefined && choiceOf(after) === undefined;
  for (const element of old.values()) {
    const now = isPointer(element.set) && !(refusing && element.set === 'services');
    (now ? first : second).push({ verb: 'delete', kind: 'element', family, element });
  }
}

const identityOf = ({ set, key }: Element): string => `${set} ${key.join(' ')}`;

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
