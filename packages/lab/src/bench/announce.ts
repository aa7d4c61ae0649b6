/**
 * `scripts/bench announce`: how long until another node answers for an address, after the one that did is cut off; until a
 * router has no route any more, after it is withdrawn; and until it has a thousand, announced from nothing.
 */
import { FrrEngine } from '@tombolo/node-agent/announce/bgp/engine.ts';
import { bfddLines, bgpdLines } from '@tombolo/node-agent/announce/bgp/frr-config.ts';
import type { BgpIntent, Route } from '@tombolo/node-agent/announce/bgp/plan.ts';
import { Vty } from '@tombolo/node-agent/announce/bgp/vty.ts';
import { ip, parseNetwork } from '@tombolo/shared/model/ip.ts';
import { Frr, RouterSegment, until } from '../segment/routers.ts';
import { Segment, type Speaker } from '../segment/segment.ts';
import { type Bench, type BenchOptions, type BenchResult, chosen, summarise } from './results.ts';
import { percentile } from './statistics.ts';

const CASES = ['failover', 'withdrawal', 'thousand'] as const;
type Case = (typeof CASES)[number];
/** What is to be kept, in ms. */
const BOUNDS: Readonly<Record<Case, number>> = { failover: 1_000, withdrawal: 200, thousand: 5_000 };
const DEFAULT_RUNS = 30;
const MANY = 1_000;

export const announce: Bench = async ({ cases, runs = DEFAULT_RUNS, progress, signal }) => {
  const wanted = chosen(cases, CASES);
  const measured = new Map<Case, readonly number[]>();
  const options = { runs, progress, signal };
  if (wanted.has('failover')) measured.set('failover', await failovers(options));
  if (wanted.has('withdrawal') || wanted.has('thousand'))
    for (const [each, values] of await byBgp(options)) if (wanted.has(each)) measured.set(each, values);
  const row = ([each, values]: readonly [Case, readonly number[]]): BenchResult =>
    summarise(
      each,
      'ms',
      'lower',
      values.map((value) => ({ value, baseline: BOUNDS[each] })),
    );
  return {
    bench: 'announce',
    results: [...measured].map(row),
    skipped: [],
    notes: [
      ...[...measured].map(([each, values]) => {
        const [half, most] = [percentile(values, 50), percentile(values, 99)].map(Math.round);
        return `${each}: p50 ${half} ms, p99 ${most} ms of ${values.length} runs`;
      }),
      'baseline: what is to be kept, 1,000 ms, 200 ms and 5,000 ms',
      'failover: between two answers that a client of the segment gets, who asks without a pause, when the node is cut off',
      'withdrawal and thousand: from the decision until the router (FRR) says so',
    ],
  };
};

type Running = Pick<BenchOptions, 'progress' | 'signal'> & { readonly runs: number };

async function failovers({ runs, progress, signal }: Running): Promise<readonly number[]> {
  const address = ip('10.77.0.100');
  const segment = await Segment.create(['a', 'b', 'c'], [address]);
  const gaps: number[] = [];
  try {
    const speakers = new Map(segment.nodes.map((node): [string, Speaker] => [node, segment.speak(node)]));
    const owner = async (of: readonly string[]): Promise<string> => {
      const holds = (node: string): boolean => speakers.get(node)?.state.answers.includes(address) ?? false;
      await until('an owner', async () => of.some(holds));
      return of.find(holds) ?? '';
    };
    const first = await owner(segment.nodes);
    const asker = await segment.ask(address);
    for (let run = 1; run <= runs && !signal.aborted; run++) {
      await segment.untilNeighbor(address, first);
      await asker.since();
      segment.ip('switch', `link set port-${first} down`);
      await segment.untilNeighbor(address, await owner(segment.nodes.filter((node) => node !== first)));
      const { longestGapMs } = await asker.since();
      gaps.push(longestGapMs);
      progress(`failover ${run} of ${runs}: ${Math.round(longestGapMs)} ms`);
      segment.ip('switch', `link set port-${first} up`);
      await speakers.get(first)?.until('back', ({ answers }) => answers.includes(address));
    }
  } finally {
    await segment.end();
  }
  signal.throwIfAborted();
  return gaps;
}

const ROUTER = (node: string): string => `router bgp 65000
 bgp router-id 10.78.0.2
 no bgp ebgp-requires-policy
 neighbor ${node} remote-as 65010
 neighbor ${node} passive
`;

function intentFor(router: string, prefixes: readonly string[]): BgpIntent {
  const routes = prefixes.map((text): [string, Route] => {
    const prefix = parseNetwork(text);
    if (!prefix.ok) throw new Error(prefix.error);
    const attributes = { communities: [], largeCommunities: [], localPreference: undefined, prepends: 0 };
    return [text, { prefix: prefix.value, ...attributes, addresses: new Map() }];
  });
  return {
    instance: { asn: 65_010, routerId: undefined, port: undefined, isLastResort: false },
    neighbors: [
      {
        ...{ address: ip(router), asn: 65_000, localAsn: undefined, port: 179, sourceAddress: undefined, ttl: 1 },
        ...{ timers: {}, password: undefined, gracefulRestartSeconds: undefined, bfd: undefined, families: [4] },
        ...{ routes: new Map(routes), of: 'bench' },
      },
    ],
    problems: [],
  };
}

async function byBgp({ runs, progress, signal }: Running): Promise<ReadonlyMap<Case, readonly number[]>> {
  const segment = new RouterSegment();
  const times = { withdrawal: [] as number[], thousand: [] as number[] };
  try {
    const [node, router] = [segment.addHost('node'), segment.addHost('router')];
    const own = new Frr(segment.place('node'), true);
    const other = new Frr(segment.place('router'), false);
    await Promise.all([own.start(), other.start(ROUTER(node.v4))]);
    const vty = await Vty.open(`${other.directory}/bgpd.vty`);
    const engine = new FrrEngine(own.directory);
    const hold = async (prefixes: readonly string[]): Promise<void> => {
      const intent = intentFor(router.v4, prefixes);
      await engine.apply('bfdd', bfddLines(intent), false);
      const problems = await engine.apply('bgpd', bgpdLines(intent), false);
      if (problems.length > 0) throw new Error(problems.join('; '));
    };
    const has = async (count: number): Promise<boolean> => {
      const { text } = await vty.ask('show bgp ipv4 unicast summary json');
      const { peers = {} } = JSON.parse(text) as {
        readonly peers?: Readonly<Record<string, { readonly pfxRcd?: number }>>;
      };
      return peers[node.v4]?.pfxRcd === count;
    };
    const timed = async (prefixes: readonly string[]): Promise<number> => {
      const begun = performance.now();
      await hold(prefixes);
      await until('the router to know', () => has(prefixes.length));
      return performance.now() - begun;
    };
    const many = Array.from({ length: MANY }, (_, i) => `198.18.${i >> 8}.${i & 255}/32`);
    const [one = '', ...rest] = many;
    await timed([one]);
    for (let run = 1; run <= runs && !signal.aborted; run++) {
      times.thousand.push(await timed(many));
      times.withdrawal.push(await timed(rest));
      await timed([one]);
      progress(
        `bgp ${run} of ${runs}: ${[times.thousand, times.withdrawal].map((all) => Math.round(all.at(-1) ?? 0))} ms`,
      );
    }
    // An open session would end with the router.
    vty.close();
  } finally {
    await segment.end();
  }
  signal.throwIfAborted();
  return new Map(Object.entries(times) as [Case, number[]][]);
}
