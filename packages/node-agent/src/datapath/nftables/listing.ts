/**
 * Reads frontends back out of nft's JSON listing of our sets and maps. Pure. `intact` is true when the listing is exactly
 * what `elements.ts` writes for these frontends; otherwise something was lost, left over, or put there by somebody else.
 */
import { type IpAddress, parseIp } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import type { Frontend, FrontendKind } from '@tombolo/shared/model/service-table.ts';
import {
  backendElement,
  choiceElement,
  choiceOf,
  type Element,
  elementsOf,
  formatNumber,
  isEveryAddress,
  parseNumber,
  type Served,
} from './elements.ts';
import { choiceChain, isChoiceChain, parseChoiceNumber, STANDING_CHOICES } from './ruleset.ts';

export interface Listing {
  readonly served: readonly Served[];
  readonly intact: boolean;
}

/** The elements of one set or map, from the answer to `list set` or `list map`. */
export function parseElements(set: string, answer: unknown): readonly Element[] {
  const object = objectsOf(answer)
    .map((entry) => fieldOf(entry, 'set') ?? fieldOf(entry, 'map'))
    .find((s) => s !== undefined);
  return arrayOf(fieldOf(object, 'elem')).map((entry) => parseElement(set as Element['set'], entry));
}

/** Names of the objects of one kind that a table has, from a listing of all tables. */
export const namesOf = (kind: 'chain' | 'set' | 'map', table: string, answer: unknown): readonly string[] =>
  objectsOf(answer).flatMap((entry) => {
    const object = fieldOf(entry, kind);
    const name = fieldOf(object, 'name');
    return typeof name === 'string' && fieldOf(object, 'table') === table ? [name] : [];
  });

/** Prefixes of an interval set, as `address/length`. */
export const parsePrefixes = (answer: unknown): readonly string[] =>
  objectsOf(answer)
    .flatMap((entry) => arrayOf(fieldOf(fieldOf(entry, 'set'), 'elem')))
    .map((entry) => {
      const prefix = fieldOf(entry, 'prefix');
      if (prefix !== undefined) return `${textOf(fieldOf(prefix, 'addr'))}/${textOf(fieldOf(prefix, 'len'))}`;
      return `${textOf(entry)}/${textOf(entry).includes(':') ? '128' : '32'}`;
    });

/** `chains` are those that a choice may name. */
export function readListing(elements: readonly Element[], chains: readonly string[]): Listing {
  const byKey = new Map(elements.map((element) => [identityOf(element), element]));
  const served = elements.flatMap((element) => servedBy(element, byKey) ?? []);
  const expected = new Map<string, Element>();
  const expectedChains = new Set(STANDING_CHOICES.map(choiceChain));
  for (const element of STANDING_CHOICES.map(choiceElement)) expected.set(identityOf(element), element);
  for (const one of served) {
    const choice = choiceOf(one);
    const shared = one.backends.map((backend) => backendElement(backend.address));
    if (choice !== undefined) {
      expectedChains.add(choiceChain(choice));
      shared.push(choiceElement(choice));
    }
    for (const element of elementsOf(one)) expected.set(identityOf(element), element);
    for (const element of shared) expected.set(identityOf(element), element);
  }
  const choiceChains = chains.filter(isChoiceChain);
  const intact =
    expected.size === elements.length &&
    elements.every((element) => sameElement(element, expected.get(identityOf(element)))) &&
    choiceChains.length === expectedChains.size &&
    choiceChains.every((name) => expectedChains.has(name));
  return { served, intact };
}

const identityOf = ({ set, key }: Element): string => `${set} ${key}`;

const sameElement = (a: Element, b: Element | undefined): boolean => a.value === b?.value && a.comment === b.comment;

function servedBy(element: Element, all: ReadonlyMap<string, Element>): Served | undefined {
  if (element.set !== 'services' && element.set !== 'refused') return undefined;
  const frontend = parseFrontend(element);
  if (frontend === undefined) return undefined;
  if (element.set === 'refused') return { frontend, backends: [], affinitySeconds: 0 };
  const number = parseNumber(element.value);
  if (number === undefined) return undefined;
  const choice = parseChoiceNumber(number);
  const protocol = frontend.protocol.toLowerCase();
  const backends: RouteBackend[] = [];
  for (let slot = 0; slot < choice.count; slot += 1) {
    const id = all.get(`sticky-slots ${element.key} . ${String(slot)}`)?.value ?? '';
    const name = `${frontend.address} . ${String(frontend.port)}`;
    const target = all.get(
      choice.affinitySeconds === 0
        ? `slots-${protocol} ${name} . ${String(slot)}`
        : `targets-${protocol} ${name} . ${id}`,
    );
    const backend = target === undefined ? undefined : parseBackend(target);
    if (backend !== undefined) backends.push(backend);
  }
  return { frontend, backends, affinitySeconds: choice.affinitySeconds };
}

const KINDS: readonly FrontendKind[] = ['ClusterIP', 'ExternalIP', 'LoadBalancer', 'NodePort'];
const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map([
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
  ['sctp', 'SCTP'],
]);

function parseFrontend({ key, comment }: Element): Frontend | undefined {
  const [address = '', protocolName = '', port = ''] = key.split(' . ');
  const parsed = parseIp(address);
  const protocol = PROTOCOLS.get(protocolName);
  if (!parsed.ok || protocol === undefined) return undefined;
  const frontend: Frontend = { kind: 'ClusterIP', address: parsed.value, port: Number(port), protocol };
  const kind = KINDS.find((name) => name === comment) ?? (isEveryAddress(frontend) ? 'NodePort' : 'ClusterIP');
  return { ...frontend, kind };
}

function parseBackend({ value, comment }: Element): RouteBackend | undefined {
  const [address = '', port = ''] = value.split(' . ');
  const parsed = parseIp(address);
  if (!parsed.ok) return undefined;
  return { address: parsed.value, port: Number(port), clusterId: Number(comment) || 0 };
}

/** A set's element is a key, a map's a pair; a comment wraps the key. */
function parseElement(set: Element['set'], entry: unknown): Element {
  const [left, right] = Array.isArray(entry) ? entry : [entry, undefined];
  const wrapped = fieldOf(left, 'elem');
  const comment = fieldOf(wrapped, 'comment');
  return {
    set,
    key: normalKey(set, partsOf(wrapped === undefined ? left : fieldOf(wrapped, 'val'))),
    value: right === undefined ? '' : normalValue(right),
    comment: typeof comment === 'string' ? comment : '',
  };
}

/** nft may print protocols as numbers. */
const PROTOCOL_NUMBERS: Readonly<Record<string, string>> = { '6': 'tcp', '17': 'udp', '132': 'sctp' };

function normalKey(set: Element['set'], parts: readonly string[]): string {
  const ofOneProtocol = set.startsWith('slots-') || set.startsWith('targets-') || set === 'backends';
  const protocolAt = ofOneProtocol ? -1 : set.endsWith('choices') ? 0 : 1;
  return parts
    .map((part, at) => {
      if (at === protocolAt) return PROTOCOL_NUMBERS[part] ?? part;
      return part.includes('.') || (at === 0 && part.includes(':')) || set === 'backends'
        ? normalAddress(part)
        : normalId(part);
    })
    .join(' . ');
}

function normalValue(value: unknown): string {
  const target = fieldOf(fieldOf(value, 'goto'), 'target');
  if (typeof target === 'string') return `goto ${target}`;
  const [first = '', ...rest] = partsOf(value);
  return rest.length === 0 ? normalId(first) : [normalAddress(first), ...rest].join(' . ');
}

function normalAddress(text: string): IpAddress | string {
  const parsed = parseIp(text);
  return parsed.ok ? parsed.value : text;
}

function normalId(text: string): string {
  const id = parseNumber(text);
  return id === undefined ? text : formatNumber(id);
}

const partsOf = (value: unknown): string[] => {
  const concat = fieldOf(value, 'concat');
  return concat === undefined ? [textOf(value)] : arrayOf(concat).map(textOf);
};

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';
const arrayOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const objectsOf = (answer: unknown): readonly unknown[] => arrayOf(fieldOf(answer, 'nftables'));

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined;
}
