/**
 * From what the kernel serves to what it shall serve, as operations in two transactions. Pure: `ServedTable` is memory,
 * somebody else talks to the kernel.
 *
 * `first` adds and switches, `second` removes. A packet that read the old entry of a Service just before the first still
 * finds every slot it may pick, each with a backend of the old or of the new set (D1, D2 of `datapath.ts`).
 */
import { type Choice, choiceChain } from './choices.ts';
import type { Element } from './element-codec.ts';
import {
  addressElement,
  choiceElement,
  choiceOf,
  familyOfFrontend,
  headElements,
  isClusterIp,
  isPointer,
  sameBackend,
  slotsElements,
} from './elements.ts';
import type { Family } from './family.ts';
import { Operations, type TableOperation } from './operations.ts';
import { type Placed, place, type Served, servedId } from './slots.ts';

/** By `servedId`; undefined where it shall go. */
export type ServedChanges = ReadonlyMap<string, Served | undefined>;

export interface TablePlan {
  readonly first: readonly TableOperation[];
  readonly second: readonly TableOperation[];
  /** What is then in the kernel. */
  readonly frontends: ReadonlyMap<string, Placed | undefined>;
  /** How many need each shared thing, where that changes. */
  readonly uses: ReadonlyMap<string, number>;
}

export class ServedTable {
  readonly frontends = new Map<string, Placed>();
  /** How many slots or frontends need an address, or a chain that chooses. */
  readonly #uses = new Map<string, number>();

  /** Notes what is in the kernel already; or, with `operations`, what it takes to write it into tables without it. */
  adopt(found: Iterable<Placed>, operations?: Operations): void {
    const uses = new Uses(this.#uses);
    for (const placed of found) {
      const slots = changedSlots(undefined, placed);
      if (operations) diffElements(undefined, placed, slots, operations, operations);
      uses.count(undefined, placed, slots);
      this.frontends.set(servedId(placed), placed);
    }
    if (operations) uses.difference(operations, operations);
    for (const [id, count] of uses.after) this.#uses.set(id, count);
  }

  /** The same frontend in other objects: those that the rest of the program holds anyway. */
  share(id: string, { backends }: Served): void {
    const placed = this.frontends.get(id);
    if (placed?.slots === placed?.backends && placed) this.frontends.set(id, { ...placed, backends, slots: backends });
  }

  /** What it takes to make these changes. Changes nothing. */
  plan(changes: ServedChanges): TablePlan {
    const frontends = new Map<string, Placed | undefined>();
    const uses = new Uses(this.#uses);
    const [first, second] = [new Operations(), new Operations()];
    for (const [id, next] of changes) {
      const before = this.frontends.get(id);
      const after = next && place(before, next);
      const slots = changedSlots(before, after);
      diffElements(before, after, slots, first, second);
      uses.count(before, after, slots);
      frontends.set(id, after);
    }
    uses.difference(first, second);
    return { first: first.list(), second: second.list(), frontends, uses: uses.after };
  }

  /** Notes that a plan was carried out. */
  commit({ frontends, uses }: TablePlan): void {
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

/** Before an address that is something else than a backend. */
const PREFIXES = [
  ['outside ', 'outside-backends'],
  ['cluster ', 'cluster-ips'],
] as const;
const [[OUTSIDE], [CLUSTER]] = PREFIXES;

function addressUse(id: string): Element {
  const [prefix, set] = PREFIXES.find(([each]) => id.startsWith(each)) ?? ['', 'backends'];
  return addressElement(set, id.slice(prefix.length));
}

const chainId = (family: Family, choice: Choice): string => `${family} ${choiceChain(choice)}`;

/** What frontends need together, counted as changes go by: chains that choose, and addresses of backends. */
class Uses {
  readonly #before: ReadonlyMap<string, number>;
  readonly #choices = new Map<string, Choice>();
  readonly after = new Map<string, number>();

  constructor(before: ReadonlyMap<string, number>) {
    this.#before = before;
  }

  count(before: Placed | undefined, after: Placed | undefined, slots: readonly number[]): void {
    if (before !== undefined) this.#count(before, slots, -1);
    if (after !== undefined) this.#count(after, slots, 1);
  }

  difference(first: Operations, second: Operations): void {
    for (const [id, uses] of this.after) {
      if (this.#before.has(id) === uses > 0) continue;
      const [verb, into] = uses > 0 ? (['add', first] as const) : (['delete', second] as const);
      const choice = this.#choices.get(id);
      if (choice === undefined) {
        into.element(verb, id.includes(':') ? 'ip6' : 'ip', addressUse(id));
      } else choiceParts(verb, id.startsWith('ip6') ? 'ip6' : 'ip', choice, into);
    }
  }

  #count(placed: Placed, slots: readonly number[], step: 1 | -1): void {
    const choice = choiceOf(placed);
    if (choice !== undefined) {
      const id = chainId(familyOfFrontend(placed.frontend), choice);
      this.#choices.set(id, choice);
      this.#add(id, step);
    }
    if (isClusterIp(placed)) this.#add(`${CLUSTER}${placed.frontend.address}`, step);
    for (const slot of slots) {
      const address = placed.slots[slot]?.address;
      if (address === undefined) continue;
      this.#add(address, step);
      if (placed.clients === 'outside') this.#add(`${OUTSIDE}${address}`, step);
    }
  }

  #add(id: string, step: 1 | -1): void {
    this.after.set(id, (this.after.get(id) ?? this.#before.get(id) ?? 0) + step);
  }
}

function choiceParts(verb: 'add' | 'delete', family: Family, choice: Choice, into: Operations): void {
  into.chain(verb, family, choice);
  into.element(verb, family, choiceElement(choice));
}

/** The slots in which two states of a frontend differ. */
function changedSlots(before: Placed | undefined, after: Placed | undefined): readonly number[] {
  const changed: number[] = [];
  for (let slot = 0; slot < Math.max(before?.slots.length ?? 0, after?.slots.length ?? 0); slot += 1) {
    const isSame = before?.ids[slot] === after?.ids[slot] && sameBackend(before?.slots[slot], after?.slots[slot]);
    if (!isSame) changed.push(slot);
  }
  return changed;
}

/** The difference between two states of one frontend. An element cannot change: it is deleted and added again. */
function diffElements(
  before: Placed | undefined,
  after: Placed | undefined,
  slots: readonly number[],
  first: Operations,
  second: Operations,
): void {
  const frontend = (after ?? before)?.frontend;
  if (frontend === undefined) return;
  const family = familyOfFrontend(frontend);
  const old = new Map<string, Element>();
  if (before !== undefined) for (const element of elements(before, slots, after)) old.set(identityOf(element), element);
  for (const element of after === undefined ? [] : elements(after, slots, before)) {
    const present = old.size === 0 ? undefined : old.get(identityOf(element));
    if (present !== undefined) {
      old.delete(identityOf(element));
      if (present.value.join() === element.value.join() && present.comment === element.comment) continue;
      first.element('delete', family, present);
    }
    first.element('add', family, element);
  }
  // `refused` is asked before `services`: a packet that asked it just before the switch must still find its service.
  for (const element of old.values()) {
    const now = isPointer(element.set) && (after === undefined || element.set === 'refused');
    (now ? first : second).element('delete', family, element);
  }
}

function* elements(placed: Placed, slots: readonly number[], other: Placed | undefined): Generator<Element> {
  yield* headElements(placed);
  yield* slotsElements(placed, slots, other);
}

const identityOf = ({ set, key }: Element): string => `${set} ${key.join(' ')}`;
