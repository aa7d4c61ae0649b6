/** The rules that refuse a backend before any choice is made: who may offer what to whom. */
import { type Cidr, forbiddenAsRemote, formatCidr, type IpAddress } from '../model/ip.ts';
import type { ServiceFacts, Verdict } from '../model/service-table.ts';
import type { Offer } from './candidates.ts';

/** Finds the prefix of this cluster's own nodes or pods that holds an address; see `prefixMatcher`. */
export type OwnRanges = (address: IpAddress) => Cidr | undefined;

/** Why none of a cluster's backends may be used, or undefined. */
export function offerRefusal(offer: Offer, { service, takesPart }: ServiceFacts): Verdict | undefined {
  if (offer.local) return undefined;
  if (!service?.global) return 'not-global';
  if (!takesPart) return 'namespace';
  return offer.contribution.service.shared ? undefined : 'not-shared';
}

/** Why nothing of ours may lead to this address, or undefined: a sentence's end. */
export function addressRefusal(address: IpAddress, local: boolean, ownRanges: OwnRanges): string | undefined {
  // The kernel takes it for the IPv4 address in it, which passes by all that is decided about that one.
  if (isMapped(address)) return 'an IPv4-mapped IPv6 address leads nowhere';
  if (local) return undefined;
  const forbidden = forbiddenAsRemote(address);
  if (forbidden) return `no other cluster may offer ${forbidden}`;
  const own = ownRanges(address);
  return own && `inside this cluster's own range ${formatCidr(own)}`;
}

export const isMapped = (address: IpAddress): boolean => address.startsWith('::ffff:') && address.includes('.');
