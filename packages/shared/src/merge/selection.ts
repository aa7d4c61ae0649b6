/**
 * Which of the backends that could serve a group of frontends do serve it: rule after rule, each of which takes some out.
 *
 * Affinity follows Cilium's selectbackends.go (1.20): "local" uses remotes only while no local backend is active,
 * "remote" uses locals only while no remote one is. Terminating backends that still serve are used only while nothing
 * else is left (KEP-1669). Hints keep local traffic where the EndpointSlice controller wants it (KEP-2433, KEP-3015), as
 * kube-proxy reads them; they say nothing about other clusters.
 */
import type { LocalEndpoint, TrafficPolicy } from '../model/service.ts';
import type { ServiceFacts } from '../model/service-table.ts';
import { type Candidate, isSamePlace, sorted } from './candidates.ts';
import type { MergeContext } from './context.ts';
import { addressRefusal, offerRefusal } from './eligibility.ts';
import type { Allowances } from './quota.ts';

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
  if (policy === 'Cluster') followHints(candidates, context);
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

/** Hints count when every ready endpoint has them and one is meant for here: node before zone. */
function followHints(candidates: readonly Candidate[], { node, zone }: MergeContext): void {
  const ready = candidates.filter(
    ({ offer, state, verdict }) => offer.local && state === 'active' && verdict === 'selected',
  );
  const isMeant = hintRule(
    ready.map(({ source }) => source as LocalEndpoint),
    node,
    zone,
  );
  if (!isMeant) return;
  for (const candidate of ready) if (!isMeant(candidate.source as LocalEndpoint)) candidate.verdict = 'topology';
}

type HintRule = (endpoint: LocalEndpoint) => boolean;

function hintRule(ready: readonly LocalEndpoint[], node: string, zone: string): HintRule | undefined {
  const rules: readonly (readonly [keyof LocalEndpoint & ('nodeHints' | 'zoneHints'), string])[] = [
    ['nodeHints', node],
    ['zoneHints', zone],
  ];
  for (const [hints, here] of rules) {
    const isMeant: HintRule = (endpoint) => endpoint[hints].includes(here);
    if (ready.every((endpoint) => endpoint[hints].length > 0) && ready.some(isMeant)) return isMeant;
  }
  return undefined;
}
