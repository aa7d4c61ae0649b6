/**
 * Which of the backends that could serve a group of frontends do serve it: rule after rule, each of which takes some out.
 *
 * Affinity follows Cilium's selectbackends.go (1.20): "local" uses remotes only while no local backend is active,
 * "remote" uses locals only while no remote one is. Terminating backends that still serve are used only while nothing
 * else is left (KEP-1669). Hints keep local traffic where the EndpointSlice controller wants it (KEP-2433, KEP-3015), as
 * kube-proxy reads them. They say nothing about other clusters, unless the Service has a `trafficDistribution`: then
 * backends of other clusters are as close as their zone is.
 */
import type { ClusterName } from '../model/cluster.ts';
import type { ClusterWeights, LocalEndpoint, RemoteBackend, TrafficPolicy } from '../model/service.ts';
import type { ServiceFacts } from '../model/service-table.ts';
import { type Candidate, isSamePlace, sorted } from './candidates.ts';
import type { MergeContext } from './context.ts';
import { addressRefusal, offerRefusal } from './eligibility.ts';
import type { Allowances } from './quota.ts';
import type { WeightedCluster } from './shares.ts';

/** Writes a verdict into every candidate; answers with them in the order of their addresses. */
export function select(
  candidates: readonly Candidate[],
  facts: ServiceFacts,
  policy: TrafficPolicy,
  context: MergeContext,
  allowances: Allowances,
): readonly Candidate[] {
  refuse(candidates, facts, context);
  const byAddress = sorted(candidates);
  refuseDuplicates(byAddress);
  for (const candidate of candidates) {
    if (candidate.verdict !== 'selected') continue;
    if (policy === 'Local' && !isOn(candidate, context.node)) candidate.verdict = 'traffic-policy';
    else if (candidate.state === 'unready') candidate.verdict = 'unready';
  }
  prefer(candidates, facts);
  if (policy === 'Cluster') followHints(candidates, facts, context);
  standBy(candidates, facts);
  allowances.limit(candidates);
  return byAddress;
}

function refuse(candidates: readonly Candidate[], facts: ServiceFacts, { ownRanges }: MergeContext): void {
  let offer: Candidate['offer'] | undefined;
  let refusal: Candidate['verdict'] | undefined;
  for (const candidate of candidates) {
    if (candidate.offer !== offer) {
      offer = candidate.offer;
      refusal = offerRefusal(offer, facts);
    }
    if (refusal) candidate.verdict = refusal;
    else if (addressRefusal(candidate.source.address, candidate.offer.local, ownRanges)) {
      candidate.verdict = 'refused-address';
    }
  }
}

/** Two clusters with overlapping pod ranges can offer the same address: the first in order has it. */
function refuseDuplicates(byAddress: readonly Candidate[]): void {
  let owner: Candidate | undefined;
  for (const candidate of byAddress) {
    if (candidate.verdict !== 'selected') continue;
    if (owner && isSamePlace(owner, candidate)) candidate.verdict = 'duplicate';
    else owner = candidate;
  }
}

const isOn = ({ source }: Candidate, node: string): boolean => 'node' in source && source.node === node;

/** Affinity, then active before terminating. */
function prefer(candidates: readonly Candidate[], facts: ServiceFacts): void {
  const affinity = affinityOf(facts);
  let local = false;
  let remote = false;
  for (const { verdict, state, offer } of candidates) {
    if (verdict !== 'selected' || state !== 'active') continue;
    if (offer.local) local = true;
    else remote = true;
  }
  const leftOut = { local: affinity === 'remote' && remote, remote: affinity === 'local' && local };
  const anyActive = (local && !leftOut.local) || (remote && !leftOut.remote);
  for (const candidate of candidates) {
    if (candidate.verdict !== 'selected') continue;
    if (candidate.offer.local ? leftOut.local : leftOut.remote) candidate.verdict = 'affinity';
    else if (anyActive && candidate.state !== 'active') candidate.verdict = 'terminating';
  }
}

/** That of a Service which takes part in the mesh. */
export const affinityOf = ({ service, takesPart }: ServiceFacts) =>
  service?.global && takesPart ? service.affinity : 'none';

/** The clusters with a weight that have something selected, and how much. */
export function weightedClusters(
  candidates: readonly Candidate[],
  weights: ClusterWeights,
): ReadonlyMap<ClusterName, WeightedCluster> {
  const selected = candidates.filter(({ verdict }) => verdict === 'selected');
  const byName = Map.groupBy(selected, ({ offer }) => offer.cluster.name);
  return new Map(
    [...byName].flatMap(([name, { length: backends }]) => {
      const weight = weights.get(name) ?? 0;
      return weight > 0 ? [[name, { weight, backends }]] : [];
    }),
  );
}

/** Clusters of weight 0 serve while no other can. */
function standBy(candidates: readonly Candidate[], facts: ServiceFacts): void {
  const weights = weightsOf(facts);
  if (!weights) return;
  const serving = weightedClusters(candidates, weights);
  if (serving.size === 0) return;
  for (const candidate of candidates) {
    if (candidate.verdict === 'selected' && !serving.has(candidate.offer.cluster.name)) candidate.verdict = 'weight';
  }
}

/** Those of a Service which takes part in the mesh. */
export const weightsOf = ({ service, takesPart }: ServiceFacts): ClusterWeights | undefined =>
  service?.global && takesPart ? service.clusterWeights : undefined;

/**
 * Hints count when every ready endpoint has them and somebody is meant for here: node before zone. No other cluster's
 * backend is on this node.
 */
function followHints(candidates: readonly Candidate[], { service }: ServiceFacts, { node, zone }: MergeContext): void {
  const active = candidates.filter(({ state, verdict }) => state === 'active' && verdict === 'selected');
  const staysClose = service?.staysClose === true;
  const rules = [
    { hints: 'nodeHints', here: node, isClose: () => false },
    { hints: 'zoneHints', here: zone, isClose: (backend: RemoteBackend) => zone !== '' && backend.zone === zone },
  ] as const;
  for (const { hints, here, isClose } of rules) {
    const hasHints = ({ source }: Candidate): boolean => (source as LocalEndpoint)[hints].length > 0;
    if (!active.every((candidate) => !candidate.offer.local || hasHints(candidate))) continue;
    const isMeant = ({ offer, source }: Candidate): boolean =>
      offer.local ? (source as LocalEndpoint)[hints].includes(here) : staysClose && isClose(source as RemoteBackend);
    if (!active.some(isMeant)) continue;
    for (const candidate of active) {
      if (!isMeant(candidate) && (candidate.offer.local || staysClose)) candidate.verdict = 'topology';
    }
    return;
  }
}
