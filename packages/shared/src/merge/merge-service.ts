/**
 * The heart: what all clusters say about one Service → what this node does about it, and, for whoever asks, a reason for
 * every backend. Both come from the same decision.
 *
 * M1. A function of its arguments alone: no clock, no randomness, no memory. Order and history do not matter.
 * M2. The local Service decides: without it, or without its `global`, other clusters' backends are listed, not used.
 * M3. Every backend that any cluster offers is explained: in each group it could serve, or among `unmatched`.
 * M4. Nothing that a remote says makes a route that cannot be programmed: what is wrong with a backend, or too much,
 *     takes out that backend and no other.
 */
import type { ClusterName } from '../model/cluster.ts';
import { type Cidr, familyOf, type IpFamily } from '../model/ip.ts';
import {
  compareRouteBackends,
  type FrontendRoute,
  isSameBackend,
  type RouteBackend,
  type Routes,
} from '../model/routes.ts';
import type { ClusterWeights, LocalService } from '../model/service.ts';
import { type Frontend, frontendId, type ServiceFacts } from '../model/service-table.ts';
import { type Candidate, candidatesOf, type Offer, offersOf } from './candidates.ts';
import type { MergeContext } from './context.ts';
import { type GroupShape, groupShapes } from './frontends.ts';
import { Allowances } from './quota.ts';
import { select, weightedClusters, weightsOf } from './selection.ts';
import { sharesOf } from './shares.ts';

/** One group of frontends and all that could serve it. */
export interface DecidedGroup {
  readonly shape: GroupShape;
  /** By cluster, address and port. */
  readonly candidates: readonly Candidate[];
  readonly byAddress: readonly Candidate[];
}

export interface DecidedService {
  readonly offers: readonly Offer[];
  readonly groups: readonly DecidedGroup[];
  /** See `Allowances.wanted`. */
  readonly wanted: ReadonlyMap<ClusterName, number>;
}

export const isProgrammed = ({ scope }: Pick<MergeContext, 'scope'>, { service, takesPart }: ServiceFacts): boolean =>
  service !== undefined && (scope === 'all' || (service.global && takesPart));

export function decideService(context: MergeContext, facts: ServiceFacts): DecidedService {
  const offers = offersOf(context.local, facts.endpoints, facts.remotes);
  const allowances = new Allowances(context.remotePerFrontend);
  const shapes = facts.service ? groupShapes(facts.service, offeredFamilies(facts.service, facts)) : [];
  const groups = shapes.map((shape): DecidedGroup => {
    const candidates = candidatesOf(offers, shape, context.node);
    return { shape, candidates, byAddress: select(candidates, facts, shape.policy, context, allowances) };
  });
  return { offers, groups, wanted: allowances.wanted };
}

/** A headless Service is explained by what it has. */
function offeredFamilies({ clusterIps }: LocalService, { endpoints, remotes }: ServiceFacts): ReadonlySet<IpFamily> {
  const families = new Set<IpFamily>();
  if (clusterIps.length > 0) return families;
  for (const { address } of endpoints) families.add(familyOf(address));
  for (const remote of remotes) for (const { address } of remote.service.backends) families.add(familyOf(address));
  return families;
}

export interface MergedRoutes {
  readonly routes: readonly FrontendRoute[];
  readonly wanted: ReadonlyMap<ClusterName, number>;
}

const NOTHING: MergedRoutes = { routes: [], wanted: new Map() };

/** What the kernel shall do about the Service. Backends that are as in `known` are the same objects. */
export function mergeRoutes(context: MergeContext, facts: ServiceFacts, known: Routes = new Map()): MergedRoutes {
  const { service, refusedFrontends } = facts;
  if (!service || !isProgrammed(context, facts)) return NOTHING;
  const { groups, wanted } = decideService(context, facts);
  const routes = groups.flatMap((group): readonly FrontendRoute[] => {
    const { clients, frontends } = group.shape;
    const served = frontends.filter((frontend) => !refusedFrontends.has(frontendId(frontend)));
    const [first] = served;
    if (!first || clients === 'outside') return [];
    const before = known.get(frontendId(first));
    const weights = weightsOf(facts);
    const backends = selectedBackends(group.byAddress, before?.backends ?? [], weights);
    const counterpart = clients === 'inside' && groups.find(({ shape }) => isCounterpart(shape, group.shape));
    const outside = counterpart ? selectedBackends(counterpart.byAddress, before?.outside ?? [], weights) : undefined;
    const { sessionAffinitySeconds } = service;
    return served.map((frontend) => {
      const sourceRanges = sourceRangesOf(frontend, service);
      const limits = { ...(outside && { outside }), ...(sourceRanges && { sourceRanges }) };
      return { frontend, backends, ...limits, sessionAffinitySeconds };
    });
  });
  return { routes, wanted };
}

/** As kube-proxy has it: for addresses of load balancers; where none is of their family, all may come. */
function sourceRangesOf({ kind, address }: Frontend, { sourceRanges }: LocalService): readonly Cidr[] | undefined {
  if (kind !== 'LoadBalancer') return undefined;
  const ranges = sourceRanges.filter((range) => familyOf(range.address) === familyOf(address));
  return ranges.length === 0 || ranges.some(({ length }) => length === 0) ? undefined : ranges;
}

const isCounterpart = (outside: GroupShape, inside: GroupShape): boolean =>
  outside.clients === 'outside' && outside.frontends === inside.frontends;

/** Both are in the same order, so what is known is found in one pass. */
function selectedBackends(
  byAddress: readonly Candidate[],
  known: readonly RouteBackend[],
  weights: ClusterWeights | undefined,
): readonly RouteBackend[] {
  const shares = weights && sharesByCluster(byAddress, weights);
  const backends: RouteBackend[] = [];
  let next = 0;
  for (const { verdict, source, port, offer } of byAddress) {
    if (verdict !== 'selected') continue;
    const wanted: RouteBackend = { address: source.address, port, clusterId: offer.cluster.id };
    let old = known[next];
    while (old && compareRouteBackends(old, wanted) < 0) old = known[++next];
    const backend = old && isSameBackend(old, wanted) ? old : wanted;
    for (let left = shares?.get(offer.cluster.name) ?? 1; left > 0; left -= 1) backends.push(backend);
  }
  return backends;
}

/** Those of one backend of each cluster that has a weight and something selected. */
function sharesByCluster(candidates: readonly Candidate[], weights: ClusterWeights): ReadonlyMap<ClusterName, number> {
  const clusters = weightedClusters(candidates, weights);
  const shares = sharesOf([...clusters.values()]);
  return new Map([...clusters.keys()].map((name, i) => [name, shares[i] ?? 1]));
}
