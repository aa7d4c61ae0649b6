/**
 * Which of the backends that could serve a group of frontends do serve it.
 *
 * Affinity follows Cilium's selectbackends.go (1.20): "local" uses remotes only while no local backend is active,
 * "remote" uses locals only while there is no remote one. Terminating backends that still serve are used only while
 * nothing else is left (KEP-1669).
 */
import { assertNever } from '../model/result.ts';
import type { Affinity, TrafficPolicy } from '../model/service.ts';
import type { Decision } from '../model/service-table.ts';
import type { Candidate } from './candidates.ts';
import type { Refusal } from './eligibility.ts';

export interface SelectionRules {
  readonly affinity: Affinity;
  readonly policy: TrafficPolicy;
  /** The node that asks, for policy Local. */
  readonly node: string;
  readonly refuse: (candidate: Candidate) => Refusal | undefined;
}

/** `candidates` in their fixed order; the decisions come in the same order. */
export function select(candidates: readonly Candidate[], rules: SelectionRules): readonly Decision[] {
  const duplicate = duplicateRule();
  const judged = candidates.map((candidate) => ({
    candidate,
    refusal:
      rules.refuse(candidate) ?? duplicate(candidate) ?? policyRule(candidate, rules) ?? readinessRule(candidate),
  }));
  const usable = judged.filter(({ refusal }) => !refusal).map(({ candidate }) => candidate);
  const choose = choice(usable, rules.affinity);
  return judged.map(({ candidate, refusal }) => ({ backend: candidate.backend, ...(refusal ?? choose(candidate)) }));
}

/** Two clusters with overlapping pod ranges can offer the same address: the first in order has it. */
function duplicateRule(): (candidate: Candidate) => Refusal | undefined {
  const owners = new Map<string, string>();
  return ({ backend }) => {
    const key = `${backend.address} ${backend.port}`;
    const owner = owners.get(key);
    owners.set(key, owner ?? backend.cluster.name);
    return owner === undefined
      ? undefined
      : { verdict: 'duplicate', detail: `cluster ${owner} offers the same address and port` };
  };
}

function policyRule({ backend }: Candidate, { policy, node }: SelectionRules): Refusal | undefined {
  return policy === 'Local' && backend.node !== node
    ? { verdict: 'traffic-policy', detail: 'traffic policy Local: not on this node' }
    : undefined;
}

function readinessRule({ backend }: Candidate): Refusal | undefined {
  return backend.state === 'unready' ? { verdict: 'unready', detail: 'its endpoint is not ready' } : undefined;
}

type Verdict = Pick<Decision, 'verdict' | 'detail'>;

/** The second step, over those that no rule refused: affinity, then active before terminating. */
function choice(usable: readonly Candidate[], affinity: Affinity): (candidate: Candidate) => Verdict {
  const pool = poolOf(usable, affinity);
  const inPool = ({ local }: Candidate): boolean => (local ? pool.locals : pool.remotes);
  const anyActive = usable.some((candidate) => inPool(candidate) && candidate.backend.state === 'active');
  return (candidate) => {
    if (!inPool(candidate)) {
      return { verdict: 'affinity', detail: `affinity ${affinity}: a ${affinity} backend is available` };
    }
    if (candidate.backend.state === 'active') return { verdict: 'selected', detail: whyUsed(candidate, affinity) };
    return anyActive
      ? { verdict: 'terminating', detail: 'terminating, and others are active' }
      : { verdict: 'selected', detail: 'terminating, but nothing else is left' };
  };
}

function poolOf(usable: readonly Candidate[], affinity: Affinity): { locals: boolean; remotes: boolean } {
  const anyRemote = usable.some(({ local }) => !local);
  const activeLocal = usable.some(({ local, backend }) => local && backend.state === 'active');
  switch (affinity) {
    case 'none':
      return { locals: true, remotes: true };
    case 'local':
      return { locals: true, remotes: !activeLocal };
    case 'remote':
      return { locals: !anyRemote, remotes: true };
    default:
      return assertNever(affinity);
  }
}

function whyUsed({ local, backend }: Candidate, affinity: Affinity): string {
  const used = backend.stale ? 'in use as last heard' : 'in use';
  if (affinity === 'none') return used;
  const preferred = (affinity === 'local') === local;
  return preferred
    ? `${used}; affinity ${affinity}`
    : `${used}; affinity ${affinity}, but no ${affinity} backend is available`;
}
