/**
 * The rules. They never change while data does: Services live in named sets and maps, and only the chains that choose
 * among N backends come and go. Pure bytes; `test/integration/nftables/rules.nft` has them as nft shows them.
 *
 * A packet's way, in each of the tables `ip NAME` and `ip6 NAME`:
 *   refuse (just before NAT)  a frontend without backends answers with a TCP reset or ICMP port unreachable
 *   nat                       `guarded` are frontends that only some clients outside the cluster may ask, `allowed`
 *                             which; `outside` are frontends that lead clients outside the cluster elsewhere, or nowhere; else
 *                             `services` says what kind of choice it is, `choices` which chain picks a slot (at random;
 *                             datagrams by their sender), `slots-tcp` which backend that is; other ports of
 *                             `cluster-ips` answer as `refuse` does
 *   patient                   a connection that one side has closed may go on for an hour, as under kube-proxy
 *   forget (just after NAT)   the packet priority, our scratch, is set back to 0; packet marks are never touched
 *   source                    masquerades what would otherwise not be answered through this node: `local-pods` are
 *                             known by address, what comes from outside the node by its way in (`uplinks`)
 *   invalid                   what fits to no connection is not shown to a client as if its backend had sent it
 *
 * `services` does not hold verdicts itself, for the kernel checks every verdict of a map again whenever one changes.
 * A NodePort is a frontend with the unspecified address: the key is looked up a second time with the address masked out.
 */
import { createHash } from 'node:crypto';
import type { Protocol } from '@tombolo/shared/model/service.ts';
import { APPEND, attribute, CREATE, message, nested } from '../netlink/messages.ts';
import { type Choice, choiceChain, firstSlot, membersOf } from './choices.ts';
import {
  blank,
  CT_TIMEOUT,
  clearPriority,
  ctOriginal,
  differs,
  forget,
  goByMap,
  hash,
  isIn,
  isInvalid,
  isNew,
  isNotIn,
  isNotThisHost,
  isThisHost,
  isTranslated,
  masquerade,
  matches,
  meta,
  payload,
  portUnreachable,
  priorityFromMap,
  random,
  remember,
  resetTcp,
  type Statement,
  setPriorityTo,
  timeout,
  translateByMap,
  type Value,
  verdict,
} from './expressions.ts';
import { type Family, nfFamily } from './family.ts';
import { newSets } from './sets.ts';

const NEW_TABLE = 0xa00;
const DELETE_TABLE = 0xa02;
const NEW_CHAIN = 0xa03;
const DELETE_CHAIN = 0xa05;
const NEW_RULE = 0xa06;
const NEW_OBJECT = 0xa12;

/** Seconds; what the kernel has of its own is 60. */
const HALF_CLOSED = 3_600;
const HALF_CLOSED_TIMEOUT = 'half-closed';

/** What not every kernel has. */
export interface Abilities {
  /** Timeouts of a connection's own (CONFIG_NF_CONNTRACK_TIMEOUT). */
  readonly timeouts: boolean;
}

/** kube-proxy and iptables translate at -100: being just before them decides who serves what both know. */
const BEFORE_NAT = -101;
const AFTER_NAT = -99;
const SOURCE_NAT = 99;
const AT_FILTER = 0;

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const HOOKS = { prerouting: 0, forward: 2, output: 3, postrouting: 4 } as const;

interface Words {
  readonly saddr: Value;
  readonly daddr: Value;
  readonly asked: Value;
  readonly isNoLoopback: Statement;
}

function wordsOf(family: Family): Words {
  if (family === 'ip') {
    return {
      saddr: payload('network', 12, 4),
      daddr: payload('network', 16, 4),
      asked: ctOriginal('ip daddr'),
      isNoLoopback: differs(payload('network', 16, 1), Buffer.from([127])),
    };
  }
  const daddr = payload('network', 24, 16);
  const loopback = Buffer.alloc(16);
  loopback[15] = 1;
  return {
    saddr: payload('network', 8, 16),
    daddr,
    asked: ctOriginal('ip6 daddr'),
    isNoLoopback: differs(daddr, loopback),
  };
}

const l4proto = meta('l4proto');
const priority = meta('priority');
/** The transport header has it at the same place, whatever the protocol. */
const port = payload('transport', 2, 2);
const isProtocol = (number: number): Statement => matches(l4proto, Buffer.from([number]));

type Rule = readonly Statement[];
interface Chain {
  readonly name: string;
  readonly hook?: { readonly type: 'filter' | 'nat'; readonly at: keyof typeof HOOKS; readonly priority: number };
  readonly rules: readonly Rule[];
}

/**
 * Who asks for what, as a key that packets can update: nft 1.0.6 aborts when such a key is longer than 16 bytes, so IPv6
 * has two hashes of it. Two clients with the same 64 bits would merely disturb each other's affinity.
 */
function clientKey(family: Family): readonly Value[] {
  const { saddr, daddr } = wordsOf(family);
  const key = [daddr, l4proto, port, saddr];
  return family === 'ip' ? key : [hash(key, 0x746f6d62), hash(key, 0x6f6c6f21)];
}

const BE_PATIENT: Rule = [verdict('jump', 'patient')];

/** Goes to the slot whose number is the priority. */
const slotChain = (protocol: Protocol, nodePort: boolean): string =>
  `${nodePort ? 'nodeport-' : ''}slot-${protocol.toLowerCase()}`;

/**
 * They stand apart from the chains that come and go, since the kernel walks all of a map when a chain is added that uses
 * it: tens of milliseconds at 50,000 Services.
 */
const slotChains = (family: Family): readonly Chain[] =>
  PROTOCOLS.flatMap((protocol) =>
    [false, true].map((nodePort) => ({
      name: slotChain(protocol, nodePort),
      rules: [
        ...(protocol === 'TCP' ? [BE_PATIENT] : []),
        [
          isProtocol(PROTOCOL_NUMBERS[protocol]),
          translateByMap(family, `slots-${protocol.toLowerCase()}`, askedAddress(family, nodePort), port, priority),
        ],
      ],
    })),
  );

/** As it stands in the keys of a frontend's elements. */
const askedAddress = (family: Family, nodePort: boolean): Value => {
  const { daddr } = wordsOf(family);
  return nodePort ? blank(daddr) : daddr;
};

/**
 * The same datagrams go to the same backend of a set, also when what is known of their flow is forgotten: kube-proxy
 * (1.32 and later) deletes all UDP flows to backends that it does not know, as those in other clusters, at each change.
 */
const senderOf = (family: Family): readonly Value[] => [wordsOf(family).saddr, payload('transport', 0, 2)];
const SENDER_SEED = 0x62616c61;

function choiceRules(family: Family, choice: Choice): readonly Rule[] {
  const { protocol, nodePort, count, affinitySeconds } = choice;
  const first = firstSlot(choice);
  if (affinitySeconds === 0) {
    // Before Linux 6.17 a lookup can miss an element that a transaction is just replacing: ask once more. What still
    // finds nothing is dropped, so that the client's retransmission is served, and not passed on untranslated.
    const slot = protocol === 'UDP' ? hash(senderOf(family), SENDER_SEED, count, first) : random(count, first);
    const rule = [setPriorityTo(slot), verdict('jump', slotChain(protocol, nodePort))];
    return [rule, rule, [verdict('drop')]];
  }
  const client = clientKey(family);
  const address = askedAddress(family, nodePort);
  // Before anything else: nft wants to know the protocol to translate a port.
  const match = isProtocol(PROTOCOL_NUMBERS[protocol]);
  const key = [address, l4proto, port];
  const target = translateByMap(family, `targets-${protocol.toLowerCase()}`, address, port, priority);
  const rememberIt = remember('affinity', client, affinitySeconds);
  return [
    [clearPriority()],
    ...(protocol === 'TCP' ? [BE_PATIENT] : []),
    [match, priorityFromMap('affinity', ...client)],
    [match, isIn(membersOf(choice), ...key, priority), rememberIt, target],
    // `update` leaves the data of an element as it is: what points to a backend that is gone must go first.
    [match, forget('affinity', client)],
    [match, priorityFromMap('sticky-slots', ...key, random(count, first))],
    [match, rememberIt],
    [match, target],
    [verdict('drop')],
  ];
}

function constantChains(family: Family, { timeouts }: Abilities): readonly Chain[] {
  const { saddr, daddr, asked, isNoLoopback } = wordsOf(family);
  const key = [daddr, l4proto, port];
  const nodePortKey = [blank(daddr), l4proto, port];
  const onThisNode = [isThisHost('daddr'), isNoLoopback, isIn('nodeport-addresses', daddr)];
  const toOurs = isIn('backends', daddr, daddr);
  const toThisNodes = isIn('outside-backends', daddr, daddr);
  const askedPort = ctOriginal('proto-dst');
  // nft knows the type of `ct original proto-dst` only after a match on one protocol: hence a rule for each.
  const perProtocol = (rule: Rule): Rule[] =>
    Object.values(PROTOCOL_NUMBERS).map((number) => [isProtocol(number), ...rule]);
  const hooked =
    (name: string, type: 'filter' | 'nat', priorityAt: number, ...rules: readonly Rule[]) =>
    (at: keyof typeof HOOKS): Chain => ({ name: `${name}-${at}`, hook: { type, at, priority: priorityAt }, rules });
  const inAndOut = (chain: ReturnType<typeof hooked>): Chain[] => [chain('prerouting'), chain('output')];
  const isOutside = [isNotIn('local-pods', saddr), isNotThisHost('saddr')];
  const choose = (choices: string, key: readonly Value[]): Rule => [
    priorityFromMap('outside-services', ...key),
    goByMap(choices, l4proto, priority),
  ];
  const [outside, outsideNodePort] = [choose('outside-choices', key), choose('outside-nodeport-choices', nodePortKey)];
  /** What is asked for is another's than the NodePort of that number. */
  const isServed: Rule = [priorityFromMap('services', ...key), clearPriority(), verdict('return')];
  const toOthers = verdict('goto', 'masquerade-unless-local');
  const balance: Rule = [verdict('jump', 'balance')];
  // A map and no set, since of a table that is being replaced the kernel forgets all maps at once, and sets later.
  // NodeLocal DNSCache has such an address itself.
  const unserved: Rule = [priorityFromMap('cluster-ips', daddr), isNotThisHost('daddr'), verdict('goto', 'unserved')];
  return [
    {
      name: 'patient',
      rules: timeouts
        ? [[isProtocol(PROTOCOL_NUMBERS.TCP), isNew(), timeout(HALF_CLOSED_TIMEOUT)]]
        : [[verdict('return')]],
    },
    ...slotChains(family),
    { name: 'answer', rules: [[isProtocol(PROTOCOL_NUMBERS.TCP), resetTcp()], [portUnreachable(family)]] },
    {
      name: 'refuse',
      rules: [
        [isIn('refused', ...key), verdict('goto', 'answer')],
        isServed,
        [...onThisNode, isIn('refused', ...nodePortKey), verdict('goto', 'answer')],
      ],
    },
    {
      name: 'balance',
      rules: [
        [priorityFromMap('services', ...key), goByMap('choices', l4proto, priority)],
        [...onThisNode, priorityFromMap('services', ...nodePortKey), goByMap('nodeport-choices', l4proto, priority)],
      ],
    },
    // Where just the frontend is missing, the first backend will do (the priority is 0).
    {
      name: 'unserved',
      rules: [
        ...PROTOCOLS.map((protocol): Rule => [verdict('jump', slotChain(protocol, false))]),
        [priorityFromMap('sticky-slots', ...key, random(1, 0))],
        ...PROTOCOLS.map(
          (protocol): Rule => [
            isProtocol(PROTOCOL_NUMBERS[protocol]),
            translateByMap(family, `targets-${protocol.toLowerCase()}`, daddr, port, priority),
          ],
        ),
        [verdict('goto', 'answer')],
      ],
    },
    // Asked again at the end, since a transaction may come between two look-ups: then it is for all again.
    { name: 'outside', rules: [outside, outside, [isIn('outside', ...key), verdict('drop')]] },
    {
      name: 'nodeport-outside',
      rules: [isServed, outsideNodePort, outsideNodePort, [isIn('outside', ...nodePortKey), verdict('drop')]],
    },
    {
      name: 'from-outside',
      rules: [
        [isIn('guarded', ...key), isNotIn('allowed', ...key, saddr), verdict('drop')],
        [isIn('outside', ...key), verdict('jump', 'outside')],
        [...onThisNode, isIn('outside', ...nodePortKey), verdict('jump', 'nodeport-outside')],
      ],
    },
    {
      name: 'forget',
      rules: [
        ...perProtocol([priorityFromMap('services', asked, l4proto, askedPort), clearPriority()]),
        ...perProtocol([toOurs, priorityFromMap('services', blank(asked), l4proto, askedPort), clearPriority()]),
      ],
    },
    {
      name: 'masquerade-unless-local',
      rules: [
        [isIn('local-pods', daddr), verdict('return')],
        [isIn('local-pods', saddr), verdict('return')],
        [masquerade()],
      ],
    },
    {
      name: 'source',
      rules: [
        [isIn('backends', saddr, daddr), masquerade()],
        ...perProtocol([toThisNodes, isIn('outside', asked, l4proto, askedPort), ...isOutside, verdict('return')]),
        ...perProtocol([
          toThisNodes,
          isIn('outside', blank(asked), l4proto, askedPort),
          ...isOutside,
          verdict('return'),
        ]),
        ...perProtocol([isIn('external', asked, l4proto, askedPort), toOthers]),
        ...perProtocol([toOurs, isIn('external', blank(asked), l4proto, askedPort), toOthers]),
        [isThisHost('saddr'), toOurs, toOthers],
        ...perProtocol([
          isIn('uplinks', meta('iif')),
          toOurs,
          priorityFromMap('services', asked, l4proto, askedPort),
          clearPriority(),
          toOthers,
        ]),
      ],
    },
    ...inAndOut(hooked('refuse', 'filter', BEFORE_NAT, [isNew(), verdict('jump', 'refuse')])),
    hooked(
      ...(['nat', 'nat', BEFORE_NAT] as const),
      [isNotIn('local-pods', saddr), verdict('jump', 'from-outside')],
      balance,
      balance,
      unserved,
    )('prerouting'),
    hooked('nat', 'nat', BEFORE_NAT, balance, balance, unserved)('output'),
    ...inAndOut(hooked('forget', 'filter', AFTER_NAT, [isNew(), isTranslated(), verdict('jump', 'forget')])),
    hooked('invalid', 'filter', AT_FILTER, [
      isProtocol(PROTOCOL_NUMBERS.TCP),
      isInvalid(),
      isIn('backends', saddr, saddr),
      verdict('drop'),
    ])('forward'),
    hooked('nat', 'nat', SOURCE_NAT, [isTranslated(), verdict('jump', 'source')])('postrouting'),
  ];
}

function chainMessages(family: Family, table: string, { name, hook, rules }: Chain): readonly Buffer[] {
  const chain = hook && [attribute(7, hook.type), nested(4, attribute(1, HOOKS[hook.at]), attribute(2, hook.priority))];
  return [
    message(NEW_CHAIN, CREATE, nfFamily[family], attribute(1, table), attribute(3, name), ...(chain ?? [])),
    ...rules.map((rule) =>
      message(
        NEW_RULE,
        CREATE | APPEND,
        nfFamily[family],
        attribute(1, table),
        attribute(2, name),
        nested(4, ...rule.flat()),
      ),
    ),
  ];
}

/** A chain with its rules. */
export const newChoiceChain = (family: Family, table: string, choice: Choice): readonly Buffer[] =>
  chainMessages(family, table, { name: choiceChain(choice), rules: choiceRules(family, choice) });

export const deleteChoiceChain = (family: Family, table: string, choice: Choice): Buffer =>
  message(DELETE_CHAIN, 0, nfFamily[family], attribute(1, table), attribute(3, choiceChain(choice)));

/** Each chain as it is created: the chain, then its rules. */
export const chainsOf = (
  family: Family,
  table: string,
  abilities: Abilities,
  choices: Iterable<Choice>,
): ReadonlyMap<string, readonly Buffer[]> =>
  new Map([
    ...constantChains(family, abilities).map((chain) => [chain.name, chainMessages(family, table, chain)] as const),
    ...[...choices].map((choice) => [choiceChain(choice), newChoiceChain(family, table, choice)] as const),
  ]);

/** Whatever else it may last is as on this machine when it is made. */
const newTimeout = (family: Family, table: string): Buffer =>
  message(
    NEW_OBJECT,
    CREATE,
    nfFamily[family],
    attribute(1, table),
    attribute(2, HALF_CLOSED_TIMEOUT),
    attribute(3, CT_TIMEOUT),
    nested(
      4,
      attribute(1, Buffer.from([0, nfFamily[family]])),
      attribute(2, Buffer.from([PROTOCOL_NUMBERS.TCP])),
      nested(3, attribute(5, HALF_CLOSED)),
    ),
  );

const constantMessages = (family: Family, table: string, abilities: Abilities, mark: string): readonly Buffer[] => [
  ...newSets(family, table, mark),
  ...(abilities.timeouts ? [newTimeout(family, table)] : []),
  ...constantChains(family, abilities).flatMap((chain) => chainMessages(family, table, chain)),
];

const marks = new Map<string, string>();

/** The name of an empty set that says which version of these rules a table holds. */
export function layoutMark(family: Family, abilities: Abilities): string {
  const key = `${family} ${abilities.timeouts}`;
  const known = marks.get(key);
  if (known !== undefined) return known;
  const sample: Choice = { clients: 'all', protocol: 'TCP', nodePort: false, count: 1, affinitySeconds: 0 };
  const choices = PROTOCOLS.flatMap((protocol): Choice[] => [
    { ...sample, protocol },
    { ...sample, protocol, affinitySeconds: 1 },
    { ...sample, protocol, clients: 'outside' },
  ]);
  const hash = createHash('sha256');
  for (const part of constantMessages(family, '', abilities, '')) hash.update(part);
  for (const choice of choices) for (const part of newChoiceChain(family, '', choice)) hash.update(part);
  const mark = `layout-${hash.digest('hex').slice(0, 12)}`;
  marks.set(key, mark);
  return mark;
}

const newTable = (family: Family, table: string): Buffer =>
  message(NEW_TABLE, CREATE, nfFamily[family], attribute(1, table), attribute(2, 0));

/** The table without any Service. */
export const emptyTable = (family: Family, table: string, abilities: Abilities): readonly Buffer[] => [
  newTable(family, table),
  ...constantMessages(family, table, abilities, layoutMark(family, abilities)),
];

/** Also when there is none. */
export const deleteTable = (family: Family, table: string): readonly Buffer[] => [
  newTable(family, table),
  message(DELETE_TABLE, 0, nfFamily[family], attribute(1, table)),
];
