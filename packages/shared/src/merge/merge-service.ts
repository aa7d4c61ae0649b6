/**
 * The heart: what all clusters say about one Service → what this node does about it, with a reason for every backend.
 *
 * M1. A function of its arguments alone: no clock, no randomness, no memory. Order and history do not matter.
 * M2. The local Service decides: without it, or without its `global`, other clusters' backends are listed, not used.
 * M3. Every backend that any cluster offers appears in the entry: in each group it could serve, or in `unmatched`.
 */
import type { ClusterIdentity } from '../model/cluster.ts';
import { familyOf } from '../model/ip.ts';
import type { LocalEndpoint, LocalService, RemoteContribution, ServiceKey } from '../model/service.ts';
import type { Decision, FrontendGroup, ServiceEntry } from '../model/service-table.ts';
import { type Candidate, candidatesOf } from './candidates.ts';
import { type OwnRanges, refusalOf } from './eligibility.ts';
import { type GroupShape, groupShapes } from './frontends.ts';
import { select } from './selection.ts';

/** Which Services a node programs: those it must, beside kube-proxy, or all of them, in its place. */
export type ServiceScope = 'global' | 'all';

/** Where this node stands; the same for all Services. */
export interface MergeContext {
  readonly local: ClusterIdentity;
  readonly node: string;
  readonly scope: ServiceScope;
  readonly ownRanges: OwnRanges;
}

export interface MergeInput {
  readonly key: ServiceKey;
  readonly service: LocalService | undefined;
  readonly endpoints: readonly LocalEndpoint[];
  readonly remotes: readonly RemoteContribution[];
}

export function mergeService(context: MergeContext, input: MergeInput): ServiceEntry {
  const candidates = candidatesOf(context.local, input.endpoints, input.remotes);
  const { key, service } = input;
  const programmed = service !== undefined && (context.scope === 'all' || service.global);
  if (!service) {
    return { key, service, programmed, affinity: 'none', groups: [], unmatched: candidates.map(withoutService) };
  }

  const affinity = service.global ? service.affinity : 'none';
  const offered = new Set(candidates.map(({ backend }) => familyOf(backend.address)));
  const shapes = groupShapes(service, offered);
  const matched = new Set<Candidate>();
  const groups = shapes.map((shape): FrontendGroup => {
    const members = candidates.filter((candidate) => serves(candidate, shape));
    for (const member of members) matched.add(member);
    const { port, family, policy, frontends } = shape;
    const refuse = (candidate: Candidate) => refusalOf(candidate, service, context.ownRanges);
    return { port, family, frontends, decisions: select(members, { affinity, policy, node: context.node, refuse }) };
  });
  const families = new Set(shapes.map(({ family }) => family));
  const unmatched = candidates
    .filter((candidate) => !matched.has(candidate))
    .map((candidate) => withoutFrontend(candidate, families.has(familyOf(candidate.backend.address))));
  return { key, service, programmed, affinity, groups, unmatched };
}

/** A frontend without a port name takes every port of its protocol; there is only one such frontend in a Service. */
function serves({ backend }: Candidate, { port, family }: GroupShape): boolean {
  return (
    backend.protocol === port.protocol &&
    familyOf(backend.address) === family &&
    (port.name === '' || backend.portNames.includes(port.name))
  );
}

const withoutService = ({ backend, local }: Candidate): Decision => ({
  backend,
  verdict: 'no-local-service',
  detail: local ? 'the Service is gone' : 'no Service of this name in this cluster',
});

function withoutFrontend({ backend }: Candidate, familyServed: boolean): Decision {
  if (!familyServed) {
    return {
      backend,
      verdict: 'address-family',
      detail: `the Service has no IPv${familyOf(backend.address)} address here`,
    };
  }
  const names = backend.portNames.length > 0 ? backend.portNames.join(', ') : 'unnamed';
  return {
    backend,
    verdict: 'port-name',
    detail: `no ${backend.protocol} port of the Service here has its name (${names})`,
  };
}
