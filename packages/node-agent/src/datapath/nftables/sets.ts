/**
 * The sets and maps of a table: what their keys and values are made of, and the messages that create them. The types by
 * which nft shows elements, and the expressions that it shows in place of types, are nft's own numbers, kept in a set for
 * nft alone. Pure.
 */
import { attribute, CREATE, hostWord, message, nested } from '../netlink/messages.ts';
import { addressBytes, type Family, nfFamily } from './family.ts';

/** Which part of a packet a field is; `mark` and `slot` are words in host order; all addresses of a `prefix` match. */
export type FieldKind = 'address' | 'protocol' | 'port' | 'mark' | 'slot' | 'prefix';
type Header = 'tcp' | 'udp' | 'sctp';

interface SetShape {
  readonly key: readonly FieldKind[];
  /** Of a map; `chain` is a verdict that goes there. */
  readonly value?: readonly FieldKind[] | 'chain';
  /** The header that ports are of, where that is of one protocol. */
  readonly header?: Header;
  /** Shown by types alone. */
  readonly plain?: true;
}

const FRONTEND = ['address', 'protocol', 'port'] as const;
const choices: SetShape = { key: ['protocol', 'mark'], value: 'chain' };
// nft checks the type of a translation against the packet's protocol: hence a map for each protocol.
const targets = (header: Header): SetShape => ({
  key: ['address', 'port', 'mark'],
  value: ['address', 'port'],
  header,
});

const SHAPES = {
  services: { key: FRONTEND, value: ['mark'] },
  choices,
  'nodeport-choices': choices,
  refused: { key: FRONTEND, plain: true },
  outside: { key: FRONTEND, plain: true },
  guarded: { key: FRONTEND, plain: true },
  allowed: { key: [...FRONTEND, 'prefix'], plain: true },
  'outside-services': { key: FRONTEND, value: ['mark'] },
  'outside-choices': choices,
  'outside-nodeport-choices': choices,
  external: { key: FRONTEND, plain: true },
  backends: { key: ['address', 'address'], plain: true },
  'outside-backends': { key: ['address', 'address'], plain: true },
  'cluster-ips': { key: ['address'], value: ['mark'] },
  'sticky-slots': { key: [...FRONTEND, 'slot'], value: ['mark'] },
  'sticky-members': { key: [...FRONTEND, 'mark'] },
  'outside-members': { key: [...FRONTEND, 'mark'] },
  'slots-tcp': targets('tcp'),
  'targets-tcp': targets('tcp'),
  'slots-udp': targets('udp'),
  'targets-udp': targets('udp'),
  'slots-sctp': targets('sctp'),
  'targets-sctp': targets('sctp'),
} as const satisfies Record<string, SetShape>;

export type SetName = keyof typeof SHAPES;
export const SETS = Object.keys(SHAPES) as readonly SetName[];
export const shapeOf = (set: SetName): SetShape => SHAPES[set];

/** Clients remembered for affinity, in each family. */
const AFFINITY_ENTRIES = 1_048_576;

/** Each field is padded to whole words. */
export const fieldBytes = (family: Family, kind: FieldKind): number =>
  kind === 'address' || kind === 'prefix' ? addressBytes[family] : 4;
export const keyBytes = (family: Family, fields: readonly FieldKind[]): number =>
  fields.reduce((sum, kind) => sum + fieldBytes(family, kind), 0);

interface Field {
  /** nft's number of the type. */
  readonly type: number;
  /** With padding, too. */
  readonly bytes: number;
  /** The expression that has this type, for nft. */
  readonly typeOf: Buffer;
}

const tlv = (type: number, ...values: readonly Buffer[]): Buffer => {
  const value = Buffer.concat(values);
  return Buffer.concat([Buffer.from([type, value.length]), value]);
};
const expressionType = (kind: number, ...data: readonly Buffer[]): Buffer =>
  Buffer.concat([tlv(0, hostWord(kind)), tlv(1, ...data)]);
const numbers = (...values: readonly number[]): Buffer[] => values.map((value, i) => tlv(i, hostWord(value)));
const payloadType = (header: number, field: number): Buffer => expressionType(7, ...numbers(header, field));
const metaType = (key: number): Buffer => expressionType(9, ...numbers(key));

const HEADERS = { ip: 12, ip6: 13, th: 11, tcp: 8, udp: 6, sctp: 10 } as const;

const FIELDS: Readonly<Record<FieldKind | 'source', (family: Family, header: Header | 'th') => Field>> = {
  address: (family) => ({
    type: family === 'ip' ? 7 : 8,
    bytes: addressBytes[family],
    typeOf: payloadType(HEADERS[family], family === 'ip' ? 12 : 9),
  }),
  prefix: (family) => ({
    type: family === 'ip' ? 7 : 8,
    bytes: addressBytes[family],
    typeOf: payloadType(HEADERS[family], family === 'ip' ? 11 : 8),
  }),
  source: () => ({ type: 7, bytes: 4, typeOf: payloadType(HEADERS.ip, 11) }),
  protocol: () => ({ type: 12, bytes: 4, typeOf: metaType(16) }),
  port: (_, header) => ({ type: 13, bytes: 4, typeOf: payloadType(HEADERS[header], 2) }),
  mark: () => ({ type: 23, bytes: 4, typeOf: metaType(2) }),
  slot: () => ({ type: 4, bytes: 4, typeOf: expressionType(23, ...numbers(1, 2, 0)) }),
};

const concatType = (fields: readonly Field[]): Buffer => expressionType(13, ...fields.map((f, i) => tlv(i, f.typeOf)));
const typeNumber = (fields: readonly Field[]): number => fields.reduce((sum, { type }) => sum * 64 + type, 0);
const length = (fields: readonly Field[]): number => fields.reduce((sum, { bytes }) => sum + bytes, 0);

const NEW_SET = 0xa09;
const INTERVAL = 4;
const CONCATENATED = 0x80;
const MAP = 8;
const DYNAMIC_WITH_TIMEOUT = 0x30;
const VERDICT_TYPE = 0xffffff00;
const INTERFACE_TYPE = 20;
const BYTE_ORDER = { none: 0, host: 1, network: 2 } as const;

const KEY_ORDER = 0;
const VALUE_ORDER = 1;
const KEY_TYPE = 3;
const VALUE_TYPE = 4;
const VALUE_INTERVAL = 6;

/** The messages that create all sets of a table. */
export function newSets(family: Family, table: string, mark: string): readonly Buffer[] {
  const newSet = (name: string, flags: number, attributes: readonly Buffer[], userData: readonly Buffer[]): Buffer =>
    message(
      NEW_SET,
      CREATE,
      nfFamily[family],
      attribute(1, table),
      attribute(2, name),
      attribute(3, flags),
      ...attributes,
      // Rules name sets: nobody uses this number.
      attribute(10, 1),
      attribute(13, Buffer.concat(userData)),
    );
  const order = (which: number, value: keyof typeof BYTE_ORDER): Buffer => tlv(which, hostWord(BYTE_ORDER[value]));
  const keyOf = (fields: readonly Field[]): Buffer[] => [
    attribute(4, typeNumber(fields)),
    attribute(5, length(fields)),
  ];
  const dataOf = (type: number, bytes: number): Buffer[] => [attribute(6, type), attribute(7, bytes)];

  const map = (
    name: string,
    flags: number,
    key: readonly Field[],
    value: readonly Field[],
    ...more: Buffer[]
  ): Buffer => {
    const [only] = value;
    const verdicts = only === undefined;
    const described = verdicts ? expressionType(1) : value.length === 1 ? only.typeOf : concatType(value);
    return newSet(
      name,
      MAP | flags,
      [...keyOf(key), ...(verdicts ? dataOf(VERDICT_TYPE, 0) : dataOf(typeNumber(value), length(value))), ...more],
      [
        order(KEY_ORDER, 'none'),
        order(VALUE_ORDER, value.length === 1 ? 'host' : 'none'),
        tlv(KEY_TYPE, concatType(key)),
        tlv(VALUE_TYPE, described),
        tlv(VALUE_INTERVAL, hostWord(0)),
      ],
    );
  };
  const ofShape = (name: SetName): Buffer => {
    const { key, value, header = 'th', plain } = shapeOf(name);
    const fields = (kinds: readonly FieldKind[]): Field[] => kinds.map((kind) => FIELDS[kind](family, header));
    if (value !== undefined) return map(name, 0, fields(key), value === 'chain' ? [] : fields(value));
    const described = plain ? concatType([]) : concatType(fields(key));
    const userData = [order(KEY_ORDER, 'none'), tlv(KEY_TYPE, described)];
    if (!key.some((kind) => kind === 'prefix')) return newSet(name, 0, keyOf(fields(key)), userData);
    const lengths = key.map((kind) =>
      nested(1, attribute(1, kind === 'protocol' ? 1 : kind === 'port' ? 2 : fieldBytes(family, kind))),
    );
    return newSet(name, INTERVAL | CONCATENATED, [...keyOf(fields(key)), nested(9, nested(2, ...lengths))], userData);
  };
  const field = (kind: keyof typeof FIELDS): Field => FIELDS[kind](family, 'th');
  const client: Field[] =
    family === 'ip'
      ? [field('address'), field('protocol'), field('port'), field('source')]
      : [field('slot'), field('slot')];
  return [
    newSet(mark, 0, [attribute(4, 19), attribute(5, 4)], [order(KEY_ORDER, 'host')]),
    ...SETS.map(ofShape),
    ...['local-pods', 'nodeport-addresses'].map((name) =>
      newSet(name, INTERVAL, keyOf([field('address')]), [order(KEY_ORDER, 'network')]),
    ),
    newSet('uplinks', 0, [attribute(4, INTERFACE_TYPE), attribute(5, 4)], [order(KEY_ORDER, 'host')]),
    map('affinity', DYNAMIC_WITH_TIMEOUT, client, [field('mark')], nested(9, attribute(1, AFFINITY_ENTRIES))),
  ];
}
