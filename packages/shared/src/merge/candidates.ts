/**
 * Every backend that any cluster offers for one group of frontends, in a fixed order: local first, then by cluster id,
 * each cluster's by address and port. What is decided about each is written into it.
 */
import type { ClusterIdentity } from '../model/cluster.ts';
import { familyOf } from '../model/ip.ts';
import { compareText } from '../model/order.ts';
import type { BackendPort, LocalEndpoint, Origin, RemoteBackend, RemoteContribution } from '../model/service.ts';
import type { BackendState, Verdict } from '../model/service-table.ts';
import { rankOf } from './endpoints.ts';
import type { GroupShape } from './frontends.ts';
import { isServedBy, remotePortMatcher } from './port-match.ts';

/** What one cluster offers for the Service. */
export type Offer =
  | { readonly local: true; readonly cluster: ClusterIdentity; readonly endpoints: readonly LocalEndpoint[] }
  | { readonly local: false; readonly cluster: ClusterIdentity; readonly contribution: RemoteContribution };

export interface Candidate {
  readonly offer: Offer;
  readonly source: LocalEndpoint | RemoteBackend;
  readonly port: number;
  readonly state: BackendState;
  verdict: Verdict;
}

/** `remotes` in any order. */
export function offersOf(
  local: ClusterIdentity,
  endpoints: readonly LocalEndpoint[],
  remotes: readonly RemoteContribution[],
): readonly Offer[] {
  return [
    { local: true, cluster: local, endpoints },
    ...remotes
      .map((contribution) => ({ local: false, cluster: contribution.cluster, contribution }) as const)
      .sort((a, b) => a.cluster.id - b.cluster.id || compareText(a.cluster.name, b.cluster.name)),
  ];
}

/** All are `selected` until a rule says otherwise. */
export function candidatesOf(offers: readonly Offer[], shape: GroupShape, node: string): readonly Candidate[] {
  const lists = offers.map((offer) =>
    offer.local ? localCandidates(offer, shape, node) : remoteCandidates(offer, shape),
  );
  // As long as it must be at once: flatMap() would leave as much again for the collector.
  const [first = [], ...others] = lists;
  return first.concat(...others);
}

const compareCandidates = (a: Candidate, b: Candidate): number =>
  compareText(a.source.address, b.source.address) || a.port - b.port;

/** By address and port. What is in order already, as what one cluster says nearly always is, costs a look at each. */
export function sorted(candidates: readonly Candidate[]): readonly Candidate[] {
  const isInOrder = candidates.every((candidate, i) => {
    const before = candidates[i - 1];
    return before === undefined || compareCandidates(before, candidate) <= 0;
  });
  return isInOrder ? candidates : candidates.toSorted(compareCandidates);
}

export const isSamePlace = (a: Candidate, b: Candidate): boolean =>
  a.port === b.port && a.source.address === b.source.address;

function localCandidates(
  offer: Offer & { local: true },
  { port, family }: GroupShape,
  node: string,
): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const source of offer.endpoints) {
    if (familyOf(source.address) !== family) continue;
    for (const offered of source.ports) {
      if (!isServedBy(port, offered)) continue;
      found.push({ offer, source, port: offered.port, state: stateOf(offer, source), verdict: 'selected' });
    }
  }
  // One place may be offered twice while it moves between slices: the better word counts.
  const better = (a: Candidate, b: Candidate): Candidate => (weightOf(b, node) > weightOf(a, node) ? b : a);
  return sorted(found).reduce<Candidate[]>((kept, next) => {
    const last = kept.at(-1);
    if (last && isSamePlace(last, next)) kept[kept.length - 1] = better(last, next);
    else kept.push(next);
    return kept;
  }, []);
}

function weightOf({ source }: Candidate, node: string): number {
  return 'ready' in source ? rankOf(source) * 2 + Number(source.node === node) : 0;
}

/** On the wire backends have no state: an entry has the ready ones, or says that all are terminating. */
export function stateOf(offer: Offer, source: Candidate['source']): BackendState {
  if (!('ready' in source)) return !offer.local && offer.contribution.service.terminating ? 'terminating' : 'active';
  if (source.ready) return 'active';
  return source.serving && source.terminating ? 'terminating' : 'unready';
}

function remoteCandidates(offer: Offer & { local: false }, { port, family }: GroupShape): readonly Candidate[] {
  const { service } = offer.contribution;
  const state = service.terminating ? 'terminating' : 'active';
  const matches = remotePortMatcher(port, service);
  const found: Candidate[] = [];
  // Most backends of a Service share one list of ports.
  let list: readonly BackendPort[] | undefined;
  let numbers: readonly number[] = [];
  for (const source of service.backends) {
    if (familyOf(source.address) !== family) continue;
    if (source.ports !== list) {
      list = source.ports;
      numbers = [...new Set(list.filter(matches).map((offered) => offered.port))];
    }
    for (let i = 0; i < numbers.length; i++)
      found.push({ offer, source, port: numbers[i] ?? 0, state, verdict: 'selected' });
  }
  return sorted(found);
}

/** The facts that say when and how the backend was heard of. */
export const originOf = ({ offer, source }: Candidate): Origin =>
  offer.local ? (source as LocalEndpoint).origin : offer.contribution.service.origin;
