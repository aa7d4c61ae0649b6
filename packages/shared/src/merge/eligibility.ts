/** The rules that refuse a backend before any choice is made: who may offer what to whom. */
import { type Cidr, forbiddenAsRemote, formatCidr, type IpAddress } from '../model/ip.ts';
import type { LocalService } from '../model/service.ts';
import type { Exclusion } from '../model/service-table.ts';
import type { Candidate } from './candidates.ts';

export interface Refusal {
  readonly verdict: Exclusion;
  readonly detail: string;
}

/** Finds the prefix of this cluster's own nodes or pods that holds an address; see `prefixMatcher`. */
export type OwnRanges = (address: IpAddress) => Cidr | undefined;

export function refusalOf(candidate: Candidate, service: LocalService, ownRanges: OwnRanges): Refusal | undefined {
  if (candidate.local) return undefined;
  const { address, cluster } = candidate.backend;
  if (!service.global) {
    return { verdict: 'not-global', detail: 'the Service here is not annotated service.cilium.io/global: "true"' };
  }
  if (!candidate.shared) return { verdict: 'not-shared', detail: `cluster ${cluster.name} does not share it` };
  const forbidden = forbiddenAsRemote(address);
  if (forbidden) return { verdict: 'refused-address', detail: `no other cluster may offer ${forbidden}` };
  const own = ownRanges(address);
  return own && { verdict: 'refused-address', detail: `inside this cluster's own range ${formatCidr(own)}` };
}
