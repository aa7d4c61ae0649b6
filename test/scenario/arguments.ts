/** The words of a command, and what they stand for. */
import { type Cidr, type IpAddress, ip, parseCidr } from '@tombolo/shared/model/ip.ts';
import type { BackendPort, LocalEndpoint, Origin, Protocol } from '@tombolo/shared/model/service.ts';

export const ORIGIN: Origin = { source: 'kubernetes', revision: '', at: 0 };

export interface Arguments {
  readonly first: string;
  readonly rest: readonly string[];
  readonly flags: ReadonlySet<string>;
  /** `key=value`. */
  readonly options: ReadonlyMap<string, string>;
}

export function parseArguments(words: readonly string[]): Arguments {
  const isOption = (word: string): boolean => /^[\w-]+=/.test(word);
  const options = new Map(words.filter(isOption).map((word) => splitOnce(word, '=')));
  const [first = '', ...rest] = words.filter((word) => !isOption(word));
  return { first, rest, flags: new Set(rest), options };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

export const list = (text: string | undefined): readonly string[] => (text ? text.split(',') : []);

export const addresses = (text: string | undefined): readonly IpAddress[] => list(text).map(ip);

export const cidrs = (texts: readonly string[]): readonly Cidr[] =>
  texts.map((text) => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  });

/** `http:80`, `dns:53/UDP`, `:80` for an unnamed port. */
export function parsePorts(text: string | undefined): readonly BackendPort[] {
  return list(text).map((each) => {
    const [name, rest] = splitOnce(each, ':');
    const [port, protocol] = splitOnce(rest, '/');
    return { name, port: Number(port), protocol: (protocol || 'TCP') as Protocol };
  });
}

/** `10.1.0.1`, `10.1.0.1/unready`, `10.1.0.1/terminating@east-2`; `10.1.0.1*40` for it and the 39 after it. */
export function parseEndpoints(
  word: string,
  ports: readonly BackendPort[],
  hints: readonly string[],
  zone = '',
): LocalEndpoint[] {
  const [place, node] = splitOnce(word, '@');
  const [range, state] = splitOnce(place, '/');
  const [first, count] = splitOnce(range, '*');
  const last = Number(first.slice(first.lastIndexOf('.') + 1));
  return Array.from({ length: Number(count || 1) }, (_, i) => ({
    address: ip(count ? `${first.slice(0, first.lastIndexOf('.'))}.${last + i}` : first),
    ports,
    ready: state === '',
    serving: state !== 'unready',
    terminating: state === 'terminating',
    node: node || 'east-1',
    zone,
    zoneHints: hints,
    nodeHints: [],
    hostname: '',
    origin: ORIGIN,
  }));
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** `90s`, `-2h`. */
export function parseDuration(text: string): number {
  const [, count, unit = ''] = /^([+-]?\d+)([smh])$/.exec(text) ?? [];
  const ms = UNIT_MS[unit];
  if (ms === undefined) throw new Error(`No such duration: ${text}`);
  return Number(count) * ms;
}
