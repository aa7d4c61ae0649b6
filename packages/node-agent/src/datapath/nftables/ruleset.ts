/**
 * The rules. They never change while data does: Services live in named sets and maps, and only the chains that choose
 * among N backends come and go, one for each protocol, N and affinity timeout in use. Pure text.
 *
 * A packet's way, in each of the tables `ip NAME` and `ip6 NAME`:
 *   refuse (just before NAT)  a frontend without backends answers with a TCP reset or ICMP port unreachable
 *   nat                       `services` says what kind of choice it is, `choices` which chain picks a slot at random,
 *                             `slots-tcp` which backend that is
 *   forget (just after NAT)   the packet priority, our scratch, is set back to 0; packet marks are never touched
 *   source                    masquerades what would otherwise not be answered through this node
 *
 * `services` does not hold verdicts itself, for the kernel checks every verdict of a map again whenever one changes.
 * A NodePort is a frontend with the unspecified address: the key is looked up a second time with the address masked out.
 */
import { createHash } from 'node:crypto';
import { assertNever } from '@tombolo/shared/model/result.ts';
import type { Protocol } from '@tombolo/shared/model/service.ts';

export type Family = 'ip' | 'ip6';
export const FAMILIES: readonly Family[] = ['ip', 'ip6'];

/** kube-proxy and iptables translate at -100: being just before them decides who serves what both know. */
const BEFORE_NAT = -101;
const AFTER_NAT = -99;
const SOURCE_NAT = 99;
/** Clients remembered for affinity, in each family. */
const AFFINITY_ENTRIES = 1_048_576;

/** What the chain for one kind of choice depends on. */
export interface Choice {
  readonly protocol: Protocol;
  readonly nodePort: boolean;
  readonly count: number;
  readonly affinitySeconds: number;
}

export function choiceChain({ protocol, nodePort, count, affinitySeconds }: Choice): string {
  const sticky = affinitySeconds > 0 ? `-sticky-${String(affinitySeconds)}` : '';
  return `${nodePort ? 'nodeport-' : ''}${protocol.toLowerCase()}-${String(count)}${sticky}`;
}

const CHOICE_CHAIN = /^(nodeport-)?(tcp|udp|sctp)-[1-9]\d*(-sticky-[1-9]\d*)?$/;

export const isChoiceChain = (name: string): boolean => CHOICE_CHAIN.test(name);

/**
 * Choices whose chains are always there: the kernel walks all of `slots-tcp` when a chain is added that uses it, which
 * takes tens of milliseconds at 50,000 Services.
 */
export const STANDING_CHOICES: readonly Choice[] = (['TCP', 'UDP'] as const).flatMap((protocol) =>
  Array.from({ length: 16 }, (_, i) => ({ protocol, nodePort: false, count: i + 1, affinitySeconds: 0 })),
);

const COUNT_BITS = 15;
/** What fits into a choice's number. Kubernetes allows affinity for a day. */
export const MOST_BACKENDS = 2 ** COUNT_BITS - 1;
export const LONGEST_AFFINITY = 86_400;

/** The number that `services` holds; protocol and kind of frontend are in its key already. */
export const choiceNumber = ({ count, affinitySeconds }: Choice): number => affinitySeconds * 2 ** COUNT_BITS + count;

export const parseChoiceNumber = (number: number): Pick<Choice, 'count' | 'affinitySeconds'> => ({
  count: number & MOST_BACKENDS,
  affinitySeconds: number >>> COUNT_BITS,
});

/** Which of the two maps of choices names this choice's chain. */
export const choicesMap = ({ nodePort }: Choice): 'choices' | 'nodeport-choices' =>
  nodePort ? 'nodeport-choices' : 'choices';

interface Words {
  readonly address: string;
  readonly any: string;
  readonly loopback: string;
  readonly unreachable: string;
}

function wordsOf(family: Family): Words {
  switch (family) {
    case 'ip':
      return { address: 'ipv4_addr', any: '0.0.0.0', loopback: '127.0.0.0/8', unreachable: 'icmp port-unreachable' };
    case 'ip6':
      return { address: 'ipv6_addr', any: '::', loopback: '::1', unreachable: 'icmpv6 port-unreachable' };
    default:
      return assertNever(family);
  }
}

const addressKey = (family: Family): string => `${family} daddr . meta l4proto . th dport`;
const nodePortKey = (family: Family): string => `${family} daddr & ${wordsOf(family).any} . meta l4proto . th dport`;

/**
 * Who asks for what, as a key that packets can update: libnftables 1.0.6 aborts when such a key is longer than 16 bytes,
 * so IPv6 has two hashes of it. Two clients with the same 64 bits would merely disturb each other's affinity.
 */
function clientKey(family: Family, header: string): string {
  const key = `${family} daddr . meta l4proto . ${header} dport . ${family} saddr`;
  if (family === 'ip') return key;
  const hash = (seed: string): string => `jhash ${key} mod 4294967295 seed ${seed}`;
  return `${hash('0x746f6d62')} . ${hash('0x6f6c6f21')}`;
}

/** The rules of a choice chain, one a line. */
export function choiceRules(family: Family, choice: Choice): readonly string[] {
  // Before anything else: nft wants to know the protocol to translate a port.
  const header = choice.protocol.toLowerCase();
  const match = `meta l4proto ${header}`;
  const address = `${family} daddr${choice.nodePort ? ` & ${wordsOf(family).any}` : ''}`;
  const random = `numgen random mod ${String(choice.count)}`;
  if (choice.affinitySeconds === 0) {
    // Before Linux 6.17 a lookup can miss an element that a transaction is just replacing: ask once more. What still
    // finds nothing is dropped, so that the client's retransmission is served, and not passed on untranslated.
    const rule = `${match} dnat ${family} to ${address} . ${header} dport . ${random} map @slots-${header}`;
    return [rule, rule, 'drop'];
  }
  const client = clientKey(family, header);
  const key = `${address} . meta l4proto . ${header} dport`;
  const remember = `{ ${client} timeout ${String(choice.affinitySeconds)}s : meta priority }`;
  const target = `dnat ${family} to ${address} . ${header} dport . meta priority map @targets-${header}`;
  return [
    'meta priority set none',
    `${match} meta priority set ${client} map @affinity`,
    `${match} ${key} . meta priority @sticky-members update @affinity ${remember} ${target}`,
    // `update` leaves the data of an element as it is: what points to a backend that is gone must go first.
    `${match} delete @affinity { ${client} : meta priority }`,
    `${match} meta priority set ${key} . ${random} map @sticky-slots`,
    `${match} update @affinity ${remember}`,
    `${match} ${target}`,
    'drop',
  ];
}

function sets(family: Family): string {
  const { address } = wordsOf(family);
  const key = `${address} . inet_proto . inet_service`;
  const typeofKey = addressKey(family);
  // nft checks the type of a translation against the packet's protocol: hence a map for each protocol.
  const translations = ['tcp', 'udp', 'sctp'].map((header) => {
    const target = `${family} daddr . ${header} dport`;
    return `
  map slots-${header} { typeof ${target} . numgen random mod 2 : ${target}; }
  map targets-${header} { typeof ${target} . meta priority : ${target}; }`;
  });
  const clientType =
    family === 'ip' ? `typeof ${clientKey(family, 'th')}` : 'typeof numgen random mod 2 . numgen random mod 2';
  return `
  map services { typeof ${typeofKey} : meta priority; }
  map choices { typeof meta l4proto . meta priority : verdict; }
  map nodeport-choices { typeof meta l4proto . meta priority : verdict; }
  set refused { type ${key}; }
  set external { type ${key}; }
  set backends { type ${address} . ${address}; }
  set local-pods { type ${address}; flags interval; }
  map sticky-slots { typeof ${typeofKey} . numgen random mod 2 : meta priority; }
  set sticky-members { typeof ${typeofKey} . meta priority; }
  map affinity { ${clientType} : meta priority; flags dynamic,timeout; size ${String(AFFINITY_ENTRIES)}; }${translations.join('')}`;
}

function chains(family: Family): string {
  const { any, loopback, unreachable } = wordsOf(family);
  const key = addressKey(family);
  const onThisNode = `fib daddr type local ${family} daddr != ${loopback}`;
  const asked = `ct original ${family} daddr`;
  const askedNodePort = `ct original ${family} daddr & ${any}`;
  const toOurs = `${family} daddr . ${family} daddr @backends`;
  const hook = (type: string, name: string, priority: number): string =>
    `type ${type} hook ${name} priority ${String(priority)};`;
  return `
  chain refuse {
    ${key} @refused goto answer
    ${onThisNode} ${nodePortKey(family)} @refused goto answer
  }
  chain answer {
    meta l4proto tcp reject with tcp reset
    reject with ${unreachable}
  }
  chain balance {
    meta priority set ${key} map @services meta l4proto . meta priority vmap @choices
    ${onThisNode} meta priority set ${nodePortKey(family)} map @services meta l4proto . meta priority vmap @nodeport-choices
  }
  chain forget {
    ${perProtocol((port) => `meta priority set ${asked} . ${port} map @services meta priority set none`)}
    ${perProtocol((port) => `${toOurs} meta priority set ${askedNodePort} . ${port} map @services meta priority set none`)}
  }
  chain masquerade-unless-local {
    ${family} daddr @local-pods return
    ${family} saddr @local-pods return
    masquerade fully-random
  }
  chain source {
    ${family} saddr . ${family} daddr @backends masquerade fully-random
    ${perProtocol((port) => `${asked} . ${port} @external goto masquerade-unless-local`)}
    ${perProtocol((port) => `${toOurs} ${askedNodePort} . ${port} @external goto masquerade-unless-local`)}
    fib saddr type local ${toOurs} goto masquerade-unless-local
  }
  chain refuse-prerouting { ${hook('filter', 'prerouting', BEFORE_NAT)} ct state new jump refuse; }
  chain refuse-output { ${hook('filter', 'output', BEFORE_NAT)} ct state new jump refuse; }
  chain nat-prerouting { ${hook('nat', 'prerouting', BEFORE_NAT)} jump balance; jump balance; }
  chain nat-output { ${hook('nat', 'output', BEFORE_NAT)} jump balance; jump balance; }
  chain forget-prerouting { ${hook('filter', 'prerouting', AFTER_NAT)} ct state new ct status dnat jump forget; }
  chain forget-output { ${hook('filter', 'output', AFTER_NAT)} ct state new ct status dnat jump forget; }
  chain nat-postrouting { ${hook('nat', 'postrouting', SOURCE_NAT)} ct status dnat jump source; }`;
}

/** nft knows the type of `ct original proto-dst` only after a match on one protocol: hence a line for each. */
const perProtocol = (rule: (port: string) => string): string =>
  ['tcp', 'udp', 'sctp']
    .map((header) => `meta l4proto ${header} ${rule('meta l4proto . ct original proto-dst')}`)
    .join('\n    ');

/** The name of an empty set that says which version of these rules a table holds. */
export function layoutMark(family: Family): string {
  const sample: Choice = { protocol: 'TCP', nodePort: false, count: 1, affinitySeconds: 0 };
  const chain = [sample, { ...sample, affinitySeconds: 1 }].flatMap((choice) => choiceRules(family, choice));
  const text = [sets(family), chains(family), ...chain].join('\n');
  return `layout-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}

/** The table without any Service. */
export function emptyTable(family: Family, table: string): string {
  return `table ${family} ${table} {\n  set ${layoutMark(family)} { type mark; }${sets(family)}${chains(family)}\n}\n`;
}

/** Also when there is none. */
export const deleteTable = (family: Family, table: string): string =>
  `add table ${family} ${table}\ndelete table ${family} ${table}\n`;
