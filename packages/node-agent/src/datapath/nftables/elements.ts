/**
 * What one frontend looks like in the sets and maps of `sets.ts`. Pure: `listing.ts` reads the same frontend back out of
 * them. What the rules do not need but a restarted agent does (the kind of a frontend, the cluster of a backend) is kept
 * in the comment of an element.
 */
import { familyOf } from '@tombolo/shared/model/ip.ts';
import { isSameBackend, isSameChoice, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import {
  type Choice,
  choiceChain,
  choiceNumber,
  choicePrefix,
  firstSlot,
  LONGEST_AFFINITY,
  MOST_BACKENDS,
  membersOf,
} from './choices.ts';
import type { Element, FieldValue } from './element-codec.ts';
import type { Family } from './family.ts';
import type { SetName } from './sets.ts';
import type { Placed, Served } from './slots.ts';

type ProtocolName = Lowercase<Protocol>;

/** Whether both look the same in the kernel, but for the order of slots. */
export function sameServed(a: Served | undefined, b: Served | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.frontend.kind === b.frontend.kind &&
    (a.affinitySeconds === b.affinitySeconds || a.backends.length === 0) &&
    (a.backends.length === 0 || a.ranges.join() === b.ranges.join()) &&
    isSameChoice(a.backends, b.backends)
  );
}

/** Whether both look the same in the kernel. */
export const isSamePlaced = (a: Placed, b: Placed | undefined): boolean =>
  b !== undefined &&
  sameServed(a, b) &&
  isSameChoice(a.slots, b.slots) &&
  a.ids.length === b.ids.length &&
  a.ids.every((id, slot) => id === b.ids[slot]);

export const sameBackend = (a: RouteBackend | undefined, b: RouteBackend | undefined): boolean =>
  a === b || (a !== undefined && isSameBackend(a, b));

/** These decide what happens to a packet; all others are only found through them. */
export const isPointer = (set: SetName): boolean => /^(services|refused|outside|outside-services)$/.test(set);

export const familyOfFrontend = (frontend: Frontend): Family => (familyOf(frontend.address) === 4 ? 'ip' : 'ip6');

const nameOf = (protocol: Protocol): ProtocolName => protocol.toLowerCase() as ProtocolName;

const frontendKey = ({ address, protocol, port }: Omit<Frontend, 'kind'>): FieldValue[] => [
  address,
  nameOf(protocol),
  port,
];

/** The kind of choice that its element in `services` or `outside-services` names; undefined when it has no backends. */
export function choiceOf({ frontend, clients, backends, affinitySeconds }: Served): Choice | undefined {
  if (backends.length === 0) return undefined;
  const nodePort = isEveryAddress(frontend);
  return { clients, protocol: frontend.protocol, nodePort, count: backends.length, affinitySeconds };
}

export const isEveryAddress = ({ address }: Frontend): boolean => address === '0.0.0.0' || address === '::';

/** Why this cannot be put into the tables, or undefined. */
export function limitOf({ backends, affinitySeconds }: Served): string | undefined {
  if (backends.length > MOST_BACKENDS) {
    return `expected at most ${String(MOST_BACKENDS)} backends: current value is ${String(backends.length)}`;
  }
  return affinitySeconds > LONGEST_AFFINITY
    ? `expected session affinity of at most ${String(LONGEST_AFFINITY)} seconds: current value is ${String(affinitySeconds)}`
    : undefined;
}

/** The elements that belong to this frontend alone. */
export function* elementsOf(placed: Placed): Generator<Element> {
  yield* headElements(placed);
  const all = placed.slots.keys();
  yield* slotsElements(placed, all, undefined);
}

/** Those of some slots; but for what every slot of one backend shares and `other` has, too: another state of the same. */
export function* slotsElements(placed: Placed, slots: Iterable<number>, other: Placed | undefined): Generator<Element> {
  const present = new Set(placed.affinitySeconds === 0 ? [] : other?.ids);
  for (const slot of slots) {
    yield* slotElements(placed, slot);
    const id = placed.ids[slot];
    if (id === undefined || present.has(id)) continue;
    present.add(id);
    yield* memberElements(placed, slot, id);
  }
}

/** Those that are there once, however many backends there are. */
export function headElements(placed: Placed): readonly Element[] {
  const { frontend } = placed;
  const key = frontendKey(frontend);
  const choice = choiceOf(placed);
  if (placed.clients === 'outside') {
    const all: Element = { set: 'outside', key, value: [], comment: frontend.kind };
    if (choice === undefined) return [all];
    return [all, { set: 'outside-services', key, value: [choiceNumber(choice)], comment: frontend.kind }];
  }
  if (choice === undefined) return [{ set: 'refused', key, value: [], comment: frontend.kind }];
  const service: Element = { set: 'services', key, value: [choiceNumber(choice)], comment: frontend.kind };
  const guard = placed.ranges.length === 0 ? [] : [member('guarded', key)];
  const allowed = placed.ranges.map((range) => member('allowed', [...key, range]));
  return frontend.kind === 'ClusterIP' ? [service] : [...allowed, ...guard, service, member('external', key)];
}

function slotElements(placed: Placed, slot: number): readonly Element[] {
  const { frontend, affinitySeconds, slots, ids } = placed;
  const number = firstSlot(placed) + slot;
  const backend = slots[slot];
  if (backend === undefined) return [];
  const { address, port, protocol } = frontend;
  const value = [backend.address, backend.port];
  const comment = String(backend.clusterId);
  if (affinitySeconds === 0) {
    return [{ set: `slots-${nameOf(protocol)}`, key: [address, port, number], value, comment }];
  }
  return [{ set: 'sticky-slots', key: [...frontendKey(frontend), number], value: [ids[slot] ?? 0], comment: '' }];
}

/** By which clients come back to the backend in a slot. */
function memberElements(placed: Placed, slot: number, id: number): readonly Element[] {
  const { address, port, protocol } = placed.frontend;
  const backend = placed.slots[slot];
  if (backend === undefined) return [];
  const comment = String(backend.clusterId);
  const value = [backend.address, backend.port];
  return [
    member(membersOf(placed), [...frontendKey(placed.frontend), id]),
    { set: `targets-${nameOf(protocol)}`, key: [address, port, id], value, comment },
  ];
}

/** The element that names the chain of a choice; frontends share it. */
export const choiceElement = (choice: Choice): Element => ({
  set: `${choicePrefix(choice)}choices`,
  key: [nameOf(choice.protocol), choiceNumber(choice)],
  value: [choiceChain(choice)],
  comment: '',
});

/** Sets that say what an address is to us: a backend, one that clients outside are led to, a cluster IP. */
export type AddressSet = 'backends' | 'outside-backends' | 'cluster-ips';

/** What says so of one address; frontends share it. */
export const addressElement = (set: AddressSet, address: string): Element =>
  set === 'cluster-ips' ? { set, key: [address], value: [0], comment: '' } : member(set, [address, address]);

/** Whether all ports of the address are ours to answer for. */
export const isClusterIp = ({ frontend, clients }: Served): boolean =>
  clients === 'all' && frontend.kind === 'ClusterIP';

const member = (set: SetName, key: readonly FieldValue[]): Element => ({ set, key, value: [], comment: '' });
