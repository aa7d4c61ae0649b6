/**
 * The configuration of FRR's bgpd and bfdd, as lines: what is wanted, written as FRR itself prints it
 * (`show running-config`, FRR 8.4), and the commands that lead from what it has to that. Pure.
 *
 * A prefix is put into the table with a tag, which says how it is told to whom; each peer's route-map lets through the tags
 * that are for it, and gives them their attributes. So one prefix more is one line, whatever else there is: lists of prefixes
 * take FRR 20 ms for each entry. What is ours is known by its names, which begin with `tombolo-`. A change of a prefix or of
 * an attribute touches no session; that of a peer its own only.
 */
import { createHash } from 'node:crypto';
import type { BfdProfile } from '@tombolo/shared/model/bgp.ts';
import { familyOf, type IpFamily } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import type { BgpIntent, Neighbor, Route } from './plan.ts';

/** A line, below the lines that lead to where it stands. */
export interface Line {
  readonly context: readonly string[];
  readonly text: string;
}

const OURS = 'tombolo-';
const NOTHING_IN = `${OURS}nothing`;
const FAMILIES: readonly IpFamily[] = [4, 6];
const afContext = (family: IpFamily): string => `address-family ipv${family} unicast`;
/** Whatever is announced goes with the community GRACEFUL_SHUTDOWN, and with local preference 0 within our own AS. */
const GRACEFUL_SHUTDOWN = 'bgp graceful-shutdown';
/** Seconds until a changed attribute of an announced prefix is told. */
const DELAY_TIMER = 'bgp route-map delay-timer 1';
const BFD_DEFAULTS = { detectMultiplier: 3, intervalMs: 300, echoMs: 50, minimumTtl: 254 };

export function bgpdLines({ instance, neighbors }: BgpIntent): readonly Line[] {
  if (!instance) return [];
  const router = `router bgp ${instance.asn}`;
  const isGraceful = neighbors.some(({ gracefulRestartSeconds }) => gracefulRestartSeconds !== undefined);
  const restart = Math.max(...neighbors.map((each) => each.gracefulRestartSeconds ?? 0));
  const general = [
    ...(instance.routerId === undefined ? [] : [`bgp router-id ${instance.routerId}`]),
    'no bgp ebgp-requires-policy',
    'no bgp default ipv4-unicast',
    ...(isGraceful ? ['bgp graceful-restart', 'bgp graceful-restart preserve-fw-state'] : []),
    ...(isGraceful && restart !== 120 ? [`bgp graceful-restart restart-time ${restart}`] : []),
    'no bgp network import-check',
    ...(instance.isLastResort ? [GRACEFUL_SHUTDOWN] : []),
  ];
  const lines: Line[] = [{ context: [], text: DELAY_TIMER }];
  const add = (context: readonly string[], ...texts: readonly string[]): void => {
    for (const text of texts) lines.push({ context, text });
  };
  const tags = tagsOf(neighbors);
  add([router], ...general, ...neighbors.flatMap(neighborLines));
  for (const family of FAMILIES) {
    const context = [router, afContext(family)];
    for (const [prefix, { tag }] of tags.byPrefix)
      if (familyOfPrefix(prefix) === family) add(context, `network ${prefix} route-map ${tagMap(tag)}`);
    for (const each of neighbors) {
      if (!each.families.includes(family)) continue;
      const about = `neighbor ${each.address}`;
      add(
        context,
        `${about} activate`,
        `${about} route-map ${NOTHING_IN} in`,
        `${about} route-map ${outMap(each)} out`,
      );
    }
  }
  add([`route-map ${NOTHING_IN} deny 1`], '');
  for (const tag of tags.all.keys()) add([`route-map ${tagMap(tag)} permit 1`], `set tag ${tag}`);
  for (const each of neighbors) {
    const told = [...tags.all].flatMap(([tag, routes]) => {
      const route = routes.get(each.address);
      return route ? [{ tag, route }] : [];
    });
    const places = placesFor(
      told.map(({ tag }) => `${tag}`),
      65_535,
    );
    for (const { tag, route } of told)
      add(
        [`route-map ${outMap(each)} permit ${places.get(`${tag}`)}`],
        `match tag ${tag}`,
        ...attributesOf(route, each.localAsn ?? instance.asn),
      );
    // With no entry at all a route-map would not be there, and let all through.
    if (told.length === 0) add([`route-map ${outMap(each)} deny 65535`], '');
  }
  return lines;
}

const familyOfPrefix = (prefix: string): IpFamily => (prefix.includes(':') ? 6 : 4);
const tagMap = (tag: number): string => `${OURS}tag-${tag}`;

/** To which peers, by address, and with which attributes: what prefixes have in common that are told alike. */
type Told = ReadonlyMap<string, Route>;

interface Tags {
  readonly all: ReadonlyMap<number, Told>;
  /** Sorted. */
  readonly byPrefix: ReadonlyMap<string, { readonly tag: number }>;
}

function tagsOf(neighbors: readonly Neighbor[]): Tags {
  const told = new Map<string, Map<string, Route>>();
  for (const { address, families, routes } of neighbors) {
    for (const [prefix, route] of routes) {
      if (!families.includes(familyOf(route.prefix.address))) continue;
      told.set(prefix, (told.get(prefix) ?? new Map<string, Route>()).set(address, route));
    }
  }
  const alike = (routes: Told): string =>
    [...routes]
      .map(([address, route]) => `${address} ${attributesOf(route, 0).join(', ')}`)
      .sort()
      .join('; ');
  const groups = Map.groupBy(told, ([, routes]) => alike(routes));
  const places = placesFor(groups.keys(), 0xffff_ffff);
  const all = new Map<number, Told>();
  const byPrefix = new Map<string, { readonly tag: number }>();
  for (const [key, members] of groups) {
    const tag = places.get(key) ?? 0;
    for (const [prefix, routes] of members) {
      all.set(tag, routes);
      byPrefix.set(prefix, { tag });
    }
  }
  return { all, byPrefix: new Map([...byPrefix].sort(([a], [b]) => compareText(a, b))) };
}

export function bfddLines({ neighbors }: BgpIntent): readonly Line[] {
  const profiles = new Map(neighbors.flatMap(({ bfd }) => (bfd ? [[bfd.name, bfd] as const] : [])));
  return [...profiles.values()].flatMap((profile) => {
    const context = ['bfd', `profile ${profileName(profile)}`];
    const texts = profileLines(profile);
    return (texts.length > 0 ? texts : ['']).map((text) => ({ context, text }));
  });
}

const profileName = ({ name }: BfdProfile): string => `${OURS}${name}`;

function profileLines(profile: BfdProfile): readonly string[] {
  const { detectMultiplier = BFD_DEFAULTS.detectMultiplier, minimumTtl = BFD_DEFAULTS.minimumTtl } = profile;
  const {
    transmitMs = BFD_DEFAULTS.intervalMs,
    receiveMs = BFD_DEFAULTS.intervalMs,
    echoMs = BFD_DEFAULTS.echoMs,
  } = profile;
  return [
    ...(detectMultiplier === BFD_DEFAULTS.detectMultiplier ? [] : [`detect-multiplier ${detectMultiplier}`]),
    ...(transmitMs === BFD_DEFAULTS.intervalMs ? [] : [`transmit-interval ${transmitMs}`]),
    ...(receiveMs === BFD_DEFAULTS.intervalMs ? [] : [`receive-interval ${receiveMs}`]),
    ...(echoMs === BFD_DEFAULTS.echoMs ? [] : [`echo transmit-interval ${echoMs}`, `echo receive-interval ${echoMs}`]),
    ...(profile.echo ? ['echo-mode'] : []),
    ...(profile.passive ? ['passive-mode'] : []),
    ...(minimumTtl === BFD_DEFAULTS.minimumTtl ? [] : [`minimum-ttl ${minimumTtl}`]),
  ];
}

function neighborLines(each: Neighbor): readonly string[] {
  const { holdSeconds, keepaliveSeconds, connectSeconds } = each.timers;
  const hold = holdSeconds ?? (keepaliveSeconds === undefined ? undefined : 3 * keepaliveSeconds);
  const keepalive = keepaliveSeconds ?? (hold === undefined ? undefined : Math.floor(hold / 3));
  const isExternal = each.asn === 'external' || typeof each.asn === 'number';
  const lines = [
    `remote-as ${each.asn}`,
    ...(each.localAsn !== undefined && isExternal ? [`local-as ${each.localAsn} no-prepend replace-as`] : []),
    ...(each.bfd ? ['bfd', `bfd profile ${profileName(each.bfd)}`] : []),
    ...(each.password === undefined ? [] : [`password ${each.password}`]),
    ...(each.port === 179 ? [] : [`port ${each.port}`]),
    ...(each.ttl > 1 ? [`ebgp-multihop ${each.ttl}`] : []),
    ...(each.sourceAddress === undefined ? [] : [`update-source ${each.sourceAddress}`]),
    ...(hold === undefined ? [] : [`timers ${keepalive} ${hold}`]),
    ...(connectSeconds === undefined ? [] : [`timers connect ${connectSeconds}`]),
    ...(each.gracefulRestartSeconds === undefined ? [] : ['graceful-restart']),
  ];
  return lines.map((line) => `neighbor ${each.address} ${line}`);
}

const outMap = ({ address }: Neighbor): string => `${OURS}${address}`;

/** By which FRR prints them. */
const COMMUNITY_NAMES: Readonly<Record<string, string>> = {
  '0:0': 'internet',
  '65535:0': 'graceful-shutdown',
  '65535:1': 'accept-own',
  '65535:6': 'llgr-stale',
  '65535:7': 'no-llgr',
  '65535:666': 'blackhole',
  '65535:65281': 'no-export',
  '65535:65282': 'no-advertise',
  '65535:65283': 'local-AS',
  '65535:65284': 'no-peer',
};

function attributesOf(
  { communities, largeCommunities, localPreference, prepends }: Route,
  asn: number,
): readonly string[] {
  const names = communities.map((each) => COMMUNITY_NAMES[each] ?? each);
  return [
    ...(names.length > 0 ? [`set community ${names.join(' ')}`] : []),
    ...(largeCommunities.length > 0 ? [`set large-community ${largeCommunities.join(' ')}`] : []),
    ...(localPreference === undefined ? [] : [`set local-preference ${localPreference}`]),
    ...(prepends === 0 ? [] : [`set as-path prepend ${new Array(prepends).fill(asn).join(' ')}`]),
  ];
}

/** Numbers of 1 to `most`, the same for the same text whatever else there is, as far as they do not meet. */
function placesFor(texts: Iterable<string>, most: number): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const places = new Map<string, number>();
  for (const text of [...texts].sort(compareText)) {
    let place = 1 + (createHash('sha256').update(text).digest().readUInt32BE() % (most - 1));
    while (taken.has(place)) place = (place % (most - 1)) + 1;
    taken.add(place);
    places.set(text, place);
  }
  return places;
}

/** `show running-config` → lines; what an empty section has is a line without text. */
export function linesOf(config: string): readonly Line[] {
  const lines: Line[] = [];
  let context: string[] = [];
  let isEmpty = false;
  const leave = (): void => {
    if (isEmpty) lines.push({ context: [...context], text: '' });
    isEmpty = false;
    context = context.slice(0, -1);
  };
  for (const raw of config.split(/\r?\n/)) {
    const text = raw.trim();
    if (/^(!|$|Building|Current|end$|frr |hostname |log |service |no ipv6 forwarding|ip forwarding)/.test(text))
      continue;
    if (text === 'exit' || text === 'exit-address-family') leave();
    else if (isSection(text, context)) {
      isEmpty = true;
      context = [...context, text];
    } else {
      isEmpty = false;
      lines.push({ context: [...context], text });
    }
  }
  return lines;
}

const isSection = (text: string, context: readonly string[]): boolean =>
  /^(router bgp |route-map \S+ (permit|deny) \d+$|bfd$|address-family )/.test(text) ||
  (context[0] === 'bfd' && /^(profile|peer) /.test(text));

/** Why the engine must not be touched: it is configured by somebody else. Undefined where it is ours, or empty. */
export function foreignIn(running: readonly Line[], wanted: readonly Line[]): string | undefined {
  const neighbors = new Set(
    running.flatMap(({ context, text }) => {
      const address = /^neighbor (\S+) /.exec(text)?.[1];
      return address !== undefined && context[0]?.startsWith('router bgp ') ? [address] : [];
    }),
  );
  const isOurs = (address: string): boolean =>
    running.some(({ text }) => text.startsWith(`neighbor ${address} route-map ${OURS}`)) ||
    wanted.some(({ text }) => text.startsWith(`neighbor ${address} `));
  const foreign = [...neighbors].filter((address) => !isOurs(address));
  return foreign.length > 0 ? `its neighbor ${foreign.join(', ')} is not of ours` : undefined;
}

/** Prefixes that are announced, as far as peers are there to hear of them. */
export const networksIn = (lines: readonly Line[]): ReadonlySet<string> =>
  new Set(
    lines.flatMap(({ text }) => {
      const prefix = new RegExp(`^network (\\S+) route-map ${OURS}`).exec(text)?.[1];
      return prefix === undefined ? [] : [prefix];
    }),
  );

/** What runs, but as the last resort; undefined where there is nothing of ours, or it is so already. */
export function lastResortOf(running: readonly Line[]): readonly Line[] | undefined {
  const router = running.find(({ text }) => text.startsWith('neighbor '))?.context[0];
  if (router === undefined || networksIn(running).size === 0) return undefined;
  return [...running, { context: [router], text: GRACEFUL_SHUTDOWN }];
}

/** Commands for a vty in configuration mode, each with the sections that lead to it. */
export type Command = readonly string[];

const keyOf = ({ context, text }: Line): string => [...context, text].join('\n');

/** What can be there only once: another value takes the place of this one. */
function settingOf({ context, text }: Line): string {
  const single =
    /^(neighbor \S+ (remote-as|local-as|port|password|update-source|ebgp-multihop|timers connect|timers(?= \d)|bfd profile|route-map (?=\S+ (in|out)))|set [a-z-]+|bgp router-id|bgp graceful-restart restart-time|(?:detect-multiplier|transmit-interval|receive-interval|echo transmit-interval|echo receive-interval|minimum-ttl)|bgp route-map delay-timer|match tag|network \S+)/.exec(
      text,
    );
  const direction = / (in|out)$/.exec(text)?.[1] ?? '';
  return [...context, single ? `${single[1]} ${direction}` : text].join('\n');
}

/** From what runs to what is wanted: first what is to be there, then what is to go; nothing where they agree. */
export function commandsBetween(running: readonly Line[], wanted: readonly Line[]): readonly Command[] {
  const [has, wants] = [new Set(running.map(keyOf)), new Set(wanted.map(keyOf))];
  const settings = new Set(wanted.map(settingOf));
  const sections = new Set(wanted.flatMap(({ context }) => context.map((_, i) => context.slice(0, i + 1).join('\n'))));
  const router = wanted.find(({ context }) => context[0]?.startsWith('router bgp '))?.context[0];
  const [removed, removals] = [new Set<string>(), [] as Command[]];
  const remove = (command: Command): void => {
    const key = command.join('\n');
    if (!removed.has(key)) removals.push(command);
    removed.add(key);
  };
  // Another instance cannot be begun before this one ends.
  const former = running.find(({ context }) => context[0]?.startsWith('router bgp ') && context[0] !== router)
    ?.context[0];
  const before: Command[] = former === undefined ? [] : [[`no ${former}`]];
  for (const line of running) {
    const { context, text } = line;
    if (wants.has(keyOf(line)) || (former !== undefined && context[0] === former) || !isOurs(line)) continue;
    const gone = context.findIndex((_, i) => !sections.has(context.slice(0, i + 1).join('\n')));
    const [neighbor, address] = /^neighbor (\S+)/.exec(text) ?? [];
    const isGonePeer = address !== undefined && !wanted.some((each) => each.text.startsWith(`neighbor ${address} `));
    if (isGonePeer && context[0] !== undefined) remove([context[0], `no ${neighbor}`]);
    else if (gone >= 0 && !/^address-family /.test(context[gone] ?? '')) {
      if (context[gone] !== 'bfd') remove([...context.slice(0, gone), `no ${context[gone]}`]);
      else if (context[1] !== undefined) remove(['bfd', `no ${context[1]}`]);
    } else if (text !== '' && !settings.has(settingOf(line))) remove([...context, inverseOf(text)]);
  }
  const additions = wanted.filter(
    (line) => !has.has(keyOf(line)) || (former !== undefined && line.context[0] === router),
  );
  const toAdd = additions.map(({ context, text }): Command => (text === '' ? context : [...context, text]));
  return [...before, ...toAdd.toSorted(byStage), ...removals.toSorted((a, b) => byStage(b, a))];
}

/** Maps before the peers that have them, peers before what they are told. */
function stageOf(command: Command): number {
  const [first = ''] = command;
  if (/^(no )?route-map /.test(first)) return 1;
  if (/^(no )?bgp /.test(first)) return 2;
  const last = command.at(-1) ?? '';
  return /^(no )?network /.test(last) ? 5 : /^(no )?address-family /.test(command[1] ?? '') ? 4 : 3;
}
const byStage = (a: Command, b: Command): number => stageOf(a) - stageOf(b);

/** Neighbors that run, are told something, and are to go: by their addresses. */
export function leavingFrom(running: readonly Line[], wanted: readonly Line[]): readonly string[] {
  const neighborsIn = (lines: readonly Line[]): ReadonlyMap<string, string> =>
    new Map(
      lines.flatMap(({ context, text }) => {
        const address = /^neighbor (\S+) remote-as/.exec(text)?.[1];
        return address === undefined ? [] : [[`${context[0]} ${address}`, address] as const];
      }),
    );
  const staying = neighborsIn(wanted);
  const isTold = (address: string): boolean =>
    running.some(({ context }) => context[0]?.startsWith(`route-map ${OURS}${address} permit `));
  return [...neighborsIn(running)].flatMap(([key, address]) => (!staying.has(key) && isTold(address) ? [address] : []));
}

/** What runs, but that these neighbors are told nothing any more. */
export const withdrawnFrom = (running: readonly Line[], leaving: readonly string[]): readonly Line[] => [
  ...running.filter(
    ({ context }) => !leaving.some((address) => context[0]?.startsWith(`route-map ${OURS}${address} `)),
  ),
  ...leaving.map((address): Line => ({ context: [`route-map ${OURS}${address} deny 65535`], text: '' })),
];

/** Of what stands beside the instance others may have something, too. */
function isOurs({ context, text }: Line): boolean {
  const about = context.length > 0 ? (context[1] ?? context[0] ?? '') : text;
  if (context[0]?.startsWith('router bgp ')) return !/^bgp log-neighbor-changes$/.test(text);
  return about.includes(` ${OURS}`) && !text.startsWith('bgp ');
}

/** There is no `no` for them. */
const BFD_RESETS: Readonly<Record<string, number>> = {
  'detect-multiplier': BFD_DEFAULTS.detectMultiplier,
  'transmit-interval': BFD_DEFAULTS.intervalMs,
  'receive-interval': BFD_DEFAULTS.intervalMs,
  'echo transmit-interval': BFD_DEFAULTS.echoMs,
  'echo receive-interval': BFD_DEFAULTS.echoMs,
  'minimum-ttl': BFD_DEFAULTS.minimumTtl,
};

function inverseOf(text: string): string {
  if (text.startsWith('no ')) return text.slice(3);
  const words = text.slice(0, text.lastIndexOf(' '));
  if (words in BFD_RESETS) return `${words} ${BFD_RESETS[words]}`;
  if (text.startsWith('set as-path prepend ')) return 'no set as-path prepend';
  // Secrets and values are not repeated.
  const short =
    /^(neighbor \S+ (?:password|timers connect|timers|update-source|ebgp-multihop|port|local-as)|set [a-z-]+|network \S+)/.exec(
      text,
    );
  return `no ${short?.[1] ?? text}`;
}
