/**
 * Reads frontends back out of the elements of our sets and maps, as they come. Pure. `intact` is true when the elements
 * are exactly what `elements.ts` writes for these frontends; otherwise something was lost, left over, put there by
 * somebody else, or not read.
 */
import { compareRouteBackends, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import type { Frontend, FrontendKind } from '@tombolo/shared/model/service-table.ts';
import { inTurns } from '../turns.ts';
import { type Choice, choiceChain, firstSlot, isChoiceChain, isOutsideSlot, parseChoiceNumber } from './choices.ts';
import { Digest } from './digest.ts';
import { addressIn, decodeElement, type Element, encodeElement, type FieldValue } from './element-codec.ts';
import {
  type AddressSet,
  addressElement,
  choiceElement,
  choiceOf,
  elementsOf,
  isClusterIp,
  isEveryAddress,
  isPointer,
} from './elements.ts';
import type { Family } from './family.ts';
import type { SetName } from './sets.ts';
import type { Placed } from './slots.ts';

export interface TableContents {
  readonly served: readonly Placed[];
  readonly intact: boolean;
}

interface Found {
  readonly frontend: Frontend;
  readonly clients: Placed['clients'];
  readonly count: number;
  readonly affinitySeconds: number;
  /** By slot; but with affinity by what clients are remembered by. */
  readonly slots: RouteBackend[];
  readonly targets: Map<number, RouteBackend> | undefined;
  readonly ids: number[];
  readonly ranges: Set<string>;
}

const FRONTENDS_A_TURN = 200;

/** Only these and pointers tell what the others must be. */
const READ = /^(allowed|sticky-slots|slots-.*|targets-.*)$/;

export class TableReader {
  readonly #family: Family;
  readonly #digest = new Digest();
  readonly #found = new Map<string, Found>();

  constructor(family: Family) {
    this.#family = family;
  }

  /** An element by its bytes; pointers must come before what belongs to them. */
  add(set: SetName, bytes: Buffer): void {
    this.#digest.add(set, bytes);
    if (!isPointer(set) && !READ.test(set)) return;
    const element = decodeElement(this.#family, set, bytes);
    if (element !== undefined) this.#read(element);
  }

  /** `chains` are all that the table has. */
  async finish(chains: ReadonlySet<string>): Promise<TableContents> {
    const served: Placed[] = [];
    const choices = new Map<string, Choice>();
    const addresses: Record<AddressSet, Set<string>> = {
      backends: new Set(),
      'outside-backends': new Set(),
      'cluster-ips': new Set(),
    };
    const expected = new Digest();
    const expect = (element: Element): void =>
      expected.add(element.set, encodeElement(this.#family, element).subarray(4));
    for await (const piece of inTurns(this.#found.values(), FRONTENDS_A_TURN)) {
      for (const one of piece.map(placedOf)) {
        const choice = choiceOf(one);
        if (choice !== undefined) choices.set(choiceChain(choice), choice);
        if (isClusterIp(one)) addresses['cluster-ips'].add(one.frontend.address);
        for (const { address } of one.slots) {
          addresses.backends.add(address);
          if (one.clients === 'outside') addresses['outside-backends'].add(address);
        }
        for (const element of elementsOf(one)) expect(element);
        served.push(one);
      }
    }
    for (const choice of choices.values()) expect(choiceElement(choice));
    for (const set of Object.keys(addresses) as AddressSet[]) {
      for await (const piece of inTurns(addresses[set]))
        for (const address of piece) expect(addressElement(set, address));
    }
    const choiceChains = [...chains].filter(isChoiceChain);
    const intact =
      expected.equals(this.#digest) &&
      choiceChains.length === choices.size &&
      choiceChains.every((name) => choices.has(name));
    return { served, intact };
  }

  #read({ set, key, value, comment }: Element): void {
    if (isPointer(set)) {
      const frontend = parseFrontend(key, comment);
      if (frontend === undefined) return;
      const clients = set.startsWith('outside') ? 'outside' : 'all';
      const choice = value.length === 0 ? { count: 0, affinitySeconds: 0 } : parseChoiceNumber(Number(value[0]));
      const targets = choice.affinitySeconds > 0 ? new Map() : undefined;
      this.#found.set(idOf(clients, ...key), {
        frontend,
        clients,
        ...choice,
        slots: [],
        targets,
        ids: [],
        ranges: new Set(),
      });
      return;
    }
    if (set === 'allowed') {
      this.#found.get(idOf('all', ...key.slice(0, 3)))?.ranges.add(String(key[3]));
      return;
    }
    if (set === 'sticky-slots') {
      const { found, slot } = this.#slot(key.slice(0, 3), Number(key[3]));
      if (found) found.ids[slot] = Number(value[0]);
      return;
    }
    const protocol = set.slice(set.indexOf('-') + 1);
    const [address = '', port = 0, number] = key;
    const frontend = [address, protocol, port];
    if (set.startsWith('targets-')) {
      // Each choice takes those that its slots name.
      for (const clients of ['all', 'outside'] as const) {
        this.#found.get(idOf(clients, ...frontend))?.targets?.set(Number(number), parseBackend(value, comment));
      }
      return;
    }
    const { found, slot } = this.#slot(frontend, Number(number));
    if (found && !found.targets && slot < found.count) found.slots[slot] = parseBackend(value, comment);
  }

  /** Whose slot this is, and which. */
  #slot(frontend: readonly FieldValue[], number: number) {
    const clients = isOutsideSlot(number) ? 'outside' : 'all';
    return { found: this.#found.get(idOf(clients, ...frontend)), slot: number - firstSlot({ clients }) };
  }
}

const idOf = (clients: Placed['clients'], ...key: readonly FieldValue[]): string => `${clients} ${key.join(' ')}`;

function placedOf({ frontend, clients, count, affinitySeconds, targets, ...found }: Found): Placed {
  const slots: RouteBackend[] = [];
  const ids: number[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const id = found.ids[slot] ?? 0;
    const backend = targets ? targets.get(id) : found.slots[slot];
    if (backend === undefined) continue;
    slots.push(backend);
    if (targets) ids.push(id);
  }
  const isSorted = slots.every((backend, i) => i === 0 || compareRouteBackends(slots[i - 1] ?? backend, backend) < 0);
  const sorted = isSorted ? slots : slots.toSorted(compareRouteBackends);
  return { frontend, clients, affinitySeconds, ranges: [...found.ranges].sort(), backends: sorted, slots, ids };
}

const KINDS: readonly FrontendKind[] = ['ClusterIP', 'ExternalIP', 'LoadBalancer', 'NodePort'];
const PROTOCOLS: ReadonlyMap<FieldValue | undefined, Protocol> = new Map([
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
  ['sctp', 'SCTP'],
]);

function parseFrontend(key: readonly FieldValue[], comment: string): Frontend | undefined {
  const protocol = PROTOCOLS.get(key[1]);
  if (protocol === undefined) return undefined;
  const frontend: Frontend = { kind: 'ClusterIP', address: addressIn(key[0]), port: Number(key[2]), protocol };
  const kind = KINDS.find((name) => name === comment) ?? (isEveryAddress(frontend) ? 'NodePort' : 'ClusterIP');
  return { ...frontend, kind };
}

const parseBackend = ([address, port]: readonly FieldValue[], comment: string): RouteBackend => ({
  address: addressIn(address),
  port: Number(port),
  clusterId: Number(comment) || 0,
});
