/** What was decided about a Service, in words: every backend that any cluster offers, and the rule that decided. */
import type { ClusterName } from '../model/cluster.ts';
import { compareIps, familyOf, type IpAddress } from '../model/ip.ts';
import { assertNever } from '../model/result.ts';
import {
  type Backend,
  type Decision,
  type FrontendGroup,
  frontendId,
  type ServiceExplanation,
  type ServiceFacts,
  type Verdict,
} from '../model/service-table.ts';
import { type Candidate, originOf, stateOf } from './candidates.ts';
import type { MergeContext } from './context.ts';
import { addressRefusal } from './eligibility.ts';
import { type DecidedGroup, type DecidedService, decideService, isProgrammed } from './merge-service.ts';
import { affinityOf, weightedClusters, weightsOf } from './selection.ts';
import type { WeightedCluster } from './shares.ts';

export function explainService(context: MergeContext, facts: ServiceFacts): ServiceExplanation {
  const { key, service } = facts;
  const decided = decideService(context, facts);
  return {
    key,
    service,
    programmed: isProgrammed(context, facts),
    affinity: affinityOf(facts),
    groups: decided.groups.map((group) => explainGroup(group, facts, context)),
    unmatched: unmatched(decided, facts, context),
  };
}

function explainGroup({ shape, candidates }: DecidedGroup, facts: ServiceFacts, context: MergeContext): FrontendGroup {
  const { port, family, clients, frontends } = shape;
  const served = frontends.filter((frontend) => !facts.refusedFrontends.has(frontendId(frontend)));
  const refused = frontends.flatMap((frontend) => {
    const reason = facts.refusedFrontends.get(frontendId(frontend));
    return reason === undefined ? [] : [{ frontend, reason }];
  });
  const weights = servingWeights(candidates, facts);
  const decisions = inOrder(candidates).map((candidate): Decision => {
    const backend = backendOf(candidate, port.protocol);
    const { verdict } = candidate;
    const detail = detailOf(candidate, backend, candidates, facts, context);
    const cluster = verdict === 'selected' ? weights.of(candidate) : undefined;
    if (!cluster) return { backend, verdict, detail };
    const said = `${detail}; its cluster gets ${cluster.weight} of ${weights.total} connections`;
    return { backend, verdict, detail: said, weight: cluster.weight / cluster.backends };
  });
  return { port, family, clients, frontends: served, refused, decisions };
}

/** Of the clusters that serve, where the Service has weights and several do. */
function servingWeights(candidates: readonly Candidate[], facts: ServiceFacts) {
  const weights = weightsOf(facts);
  const clusters = weights ? weightedClusters(candidates, weights) : new Map<ClusterName, WeightedCluster>();
  const total = [...clusters.values()].reduce((sum, { weight }) => sum + weight, 0);
  return { total, of: ({ offer }: Candidate) => (clusters.size > 1 ? clusters.get(offer.cluster.name) : undefined) };
}

/** Each cluster's by number: 10.0.0.2 before 10.0.0.10. */
const inOrder = (candidates: readonly Candidate[]): readonly Candidate[] =>
  [...Map.groupBy(candidates, ({ offer }) => offer).values()].flatMap((ofCluster) =>
    ofCluster.sort((a, b) => compareIps(a.source.address, b.source.address) || a.port - b.port),
  );

function backendOf(candidate: Candidate, protocol: Backend['protocol']): Backend {
  const { offer, source, port, state } = candidate;
  const names = source.ports.filter((each) => each.port === port && each.protocol === protocol).map(({ name }) => name);
  return {
    address: source.address,
    port,
    protocol,
    portNames: [...new Set(names)].filter((name) => name !== '').sort(),
    cluster: offer.cluster,
    node: 'node' in source ? source.node : '',
    zone: source.zone,
    state,
    stale: !offer.local && offer.contribution.view.kind !== 'synced',
    origin: originOf(candidate),
  };
}

function detailOf(
  candidate: Candidate,
  { protocol, portNames }: Backend,
  others: readonly Candidate[],
  facts: ServiceFacts,
  context: MergeContext,
): string {
  const { offer, source, verdict } = candidate;
  const { cluster } = offer;
  const affinity = affinityOf(facts);
  switch (verdict) {
    case 'selected':
      return whyUsed(candidate, affinity);
    case 'no-local-service':
      return offer.local ? 'the Service is gone' : 'no Service of this name in this cluster';
    case 'not-global':
      return 'the Service here is not annotated service.cilium.io/global: "true"';
    case 'namespace':
      return 'the namespace here does not take part in the mesh (clustermesh.cilium.io/global, or the default)';
    case 'not-shared':
      return `cluster ${cluster.name} does not share it`;
    case 'refused-address':
      return addressRefusal(source.address, offer.local, context.ownRanges) ?? 'an address that may not be used';
    case 'duplicate':
      return `cluster ${ownerOf(candidate, others)} offers the same address and port`;
    case 'traffic-policy':
      return 'traffic policy Local: not on this node';
    case 'unready':
      return 'its endpoint is not ready';
    case 'affinity':
      return `affinity ${affinity}: a ${affinity} backend is available`;
    case 'terminating':
      return 'terminating, and others are active';
    case 'topology':
      return offer.local
        ? 'hints: meant for others than this node and zone'
        : 'trafficDistribution: not in this zone, and closer backends are';
    case 'weight':
      return `cluster ${cluster.name} has weight 0, and others have backends`;
    case 'quota':
      return quotaDetail(candidate, context);
    case 'address-family':
      return `the Service has no IPv${familyOf(source.address)} address here`;
    case 'port-name':
      return `no ${protocol} port of the Service here has its name (${portNames.join(', ') || 'unnamed'})`;
    default:
      return assertNever(verdict);
  }
}

function quotaDetail({ offer }: Candidate, { remotePerFrontend }: MergeContext): string {
  const allowance = offer.local ? undefined : offer.contribution.allowance;
  const limit = allowance === undefined ? `${remotePerFrontend} for one frontend` : `${allowance} for this Service`;
  return `cluster ${offer.cluster.name} may have ${limit}, and others come first`;
}

const ownerOf = (duplicate: Candidate, all: readonly Candidate[]): string =>
  all.find(
    ({ source, port, verdict }) =>
      verdict !== 'duplicate' && port === duplicate.port && source.address === duplicate.source.address,
  )?.offer.cluster.name ?? '';

function whyUsed({ offer, state }: Candidate, affinity: 'none' | 'local' | 'remote'): string {
  if (state === 'terminating') return 'terminating, but nothing else is left';
  const used = !offer.local && offer.contribution.view.kind !== 'synced' ? 'in use as last heard' : 'in use';
  if (affinity === 'none') return used;
  return (affinity === 'local') === offer.local
    ? `${used}; affinity ${affinity}`
    : `${used}; affinity ${affinity}, but no ${affinity} backend is available`;
}

/** Every port of every backend that no group took up. */
function unmatched(decided: DecidedService, facts: ServiceFacts, context: MergeContext): readonly Decision[] {
  const { offers, groups } = decided;
  const matched = new Set(
    groups.flatMap(({ shape, candidates }) => candidates.map((each) => placeOf(each, shape.port.protocol))),
  );
  const families = new Set(groups.map(({ shape }) => shape.family));
  const reason = (address: IpAddress): Verdict => {
    if (!facts.service) return 'no-local-service';
    return families.has(familyOf(address)) ? 'port-name' : 'address-family';
  };
  const found = new Map<string, { readonly candidate: Candidate; readonly protocol: Backend['protocol'] }>();
  for (const offer of offers) {
    for (const source of offer.local ? offer.endpoints : offer.contribution.service.backends) {
      for (const { protocol, port } of source.ports) {
        const verdict = reason(source.address);
        const candidate: Candidate = { offer, source, port, state: stateOf(offer, source), verdict };
        const place = placeOf(candidate, protocol);
        if (!matched.has(place) && !found.has(place)) found.set(place, { candidate, protocol });
      }
    }
  }
  const protocolOf = new Map([...found.values()].map(({ candidate, protocol }) => [candidate, protocol]));
  return inOrder([...protocolOf.keys()]).map((candidate): Decision => {
    const backend = backendOf(candidate, protocolOf.get(candidate) ?? 'TCP');
    return { backend, verdict: candidate.verdict, detail: detailOf(candidate, backend, [], facts, context) };
  });
}

const placeOf = ({ offer, source, port }: Candidate, protocol: string): string =>
  `${offer.cluster.name} ${source.address} ${port}/${protocol}`;
