/**
 * What one frontend looks like in the sets and maps of `ruleset.ts`. Pure: equal frontends give equal elements, whatever
 * came before, and `listing.ts` reads the same frontend back out of them. What the rules do not need but a restarted
 * agent does (the kind of a frontend, the cluster of a backend) is kept in the comment of an element.
 */
import { familyOf } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';
import {
  type Choice,
  choiceChain,
  choiceNumber,
  choicesMap,
  type Family,
  LONGEST_AFFINITY,
  MOST_BACKENDS,
} from './ruleset.ts';

/** One frontend as the kernel has it, or shall have it. */
export interface Served {
  readonly frontend: Frontend;
  readonly backends: readonly RouteBackend[];
  readonly affinitySeconds: number;
}

type ProtocolName = Lowercase<Protocol>;

export const SETS = ['refused', 'external', 'sticky-members', 'backends'] as const;
export const MAPS = [
  'services',
  'choices',
  'nodeport-choices',
  'sticky-slots',
  'slots-tcp',
  'slots-udp',
  'slots-sctp',
  'targets-tcp',
  'targets-udp',
  'targets-sctp',
] as const;

export type SetName = (typeof SETS)[number] | (typeof MAPS)[number];
export interface Element {
  readonly set: SetName;
  readonly key: string;
  /** Empty in a set. */
  readonly value: string;
  /** Empty for none. */
  readonly comment: string;
}

/** Whether both look the same in the kernel. */
export function sameServed(a: Served | undefined, b: Served | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.frontend.kind === b.frontend.kind &&
    a.backends.length === b.backends.length &&
    (a.affinitySeconds === b.affinitySeconds || a.backends.length === 0) &&
    (a.backends === b.backends || a.backends.every((backend, i) => sameBackend(backend, b.backends[i])))
  );
}

const sameBackend = (a: RouteBackend, b: RouteBackend | undefined): boolean =>
  a.address === b?.address && a.port === b.port && a.clusterId === b.clusterId;

/** These decide what happens to a packet; all others are only found through them. */
export const isPointer = (set: SetName): boolean => set === 'services' || set === 'refused';

export const familyOfFrontend = (frontend: Frontend): Family => (familyOf(frontend.address) === 4 ? 'ip' : 'ip6');

const frontendKey = ({ address, protocol, port }: Omit<Frontend, 'kind'>): string =>
  `${address} . ${nameOf(protocol)} . ${String(port)}`;

const nameOf = (protocol: Protocol): ProtocolName => protocol.toLowerCase() as ProtocolName;
/** In the sets that are for one protocol. */
const translationKey = ({ address, port }: Frontend): string => `${address} . ${String(port)}`;

/** The kind of choice that this frontend's element in `services` names; undefined when it has no backends. */
export function choiceOf({ frontend, backends, affinitySeconds }: Served): Choice | undefined {
  if (backends.length === 0) return undefined;
  const nodePort = isEveryAddress(frontend);
  return { protocol: frontend.protocol, nodePort, count: backends.length, affinitySeconds };
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
export function elementsOf(served: Served): readonly Element[] {
  const { frontend, backends, affinitySeconds } = served;
  const key = frontendKey(frontend);
  const choice = choiceOf(served);
  if (choice === undefined) return [{ set: 'refused', key, value: '', comment: frontend.kind }];
  const elements: Element[] = [
    { set: 'services', key, value: formatNumber(choiceNumber(choice)), comment: frontend.kind },
    ...(affinitySeconds === 0 ? slots(frontend, backends) : stickySlots(frontend, backends)),
  ];
  if (frontend.kind !== 'ClusterIP') elements.push(member('external', key));
  return elements;
}

/** The element that names the chain of a choice; frontends share it. */
export const choiceElement = (choice: Choice): Element => ({
  set: choicesMap(choice),
  key: `${nameOf(choice.protocol)} . ${formatNumber(choiceNumber(choice))}`,
  value: `goto ${choiceChain(choice)}`,
  comment: '',
});

/** The element that says "this address is a backend of ours"; frontends share it. */
export const backendElement = (address: string): Element => member('backends', `${address} . ${address}`);

const member = (set: SetName, key: string): Element => ({ set, key, value: '', comment: '' });

const target = ({ address, port }: RouteBackend): string => `${address} . ${String(port)}`;

const slots = (frontend: Frontend, backends: readonly RouteBackend[]): Element[] =>
  backends.map((backend, slot) => ({
    set: `slots-${nameOf(frontend.protocol)}`,
    key: `${translationKey(frontend)} . ${String(slot)}`,
    value: target(backend),
    comment: String(backend.clusterId),
  }));

function stickySlots(frontend: Frontend, backends: readonly RouteBackend[]): Element[] {
  const key = frontendKey(frontend);
  const ids = stickyIds(backends);
  return backends.flatMap((backend, slot): Element[] => {
    const id = formatNumber(ids[slot] ?? 0);
    return [
      { set: 'sticky-slots', key: `${key} . ${String(slot)}`, value: id, comment: '' },
      member('sticky-members', `${key} . ${id}`),
      {
        set: `targets-${nameOf(frontend.protocol)}`,
        key: `${translationKey(frontend)} . ${id}`,
        value: target(backend),
        comment: String(backend.clusterId),
      },
    ];
  });
}

/**
 * A number for each backend that clients are remembered by. It comes from the backend itself, so it survives restarts
 * and is not handed to another backend while clients still remember it. 0 and 0xffffffff have names in nft.
 */
function stickyIds(backends: readonly RouteBackend[]): readonly number[] {
  const taken = new Set([0, 0xffffffff]);
  return backends.map((backend) => {
    let id = hash(`${target(backend)} ${String(backend.clusterId)}`);
    while (taken.has(id)) id = (id + 1) >>> 0;
    taken.add(id);
    return id;
  });
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/** A number as nft writes a packet priority: two hexadecimal halves. */
export const formatNumber = (id: number): string => `${(id >>> 16).toString(16)}:${(id & 0xffff).toString(16)}`;

export function parseNumber(text: string): number | undefined {
  const match = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  return match === null
    ? undefined
    : ((Number.parseInt(match[1] ?? '', 16) << 16) | Number.parseInt(match[2] ?? '', 16)) >>> 0;
}
