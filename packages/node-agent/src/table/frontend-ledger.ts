/**
 * Who may serve which frontend: of all Services here, also those that somebody else programs. One frontend belongs to one
 * Service, whatever the order in which they were heard.
 *
 * A cluster IP outranks everything external, and an address that a load balancer was given outranks one that a Service
 * gives itself; then the older Service has it, then the first by name. So nobody takes another's address by asking for it
 * as an external IP (CVE-2020-8554), least of all that of a Service whose cluster IP it is.
 */
import { isMapped } from '@tombolo/shared/merge/eligibility.ts';
import { frontendsOf } from '@tombolo/shared/merge/frontends.ts';
import { type Cidr, forbiddenAsRemote, formatCidr, prefixMatcher } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import type { LocalService, ServiceKey } from '@tombolo/shared/model/service.ts';
import { type Frontend, type FrontendKind, frontendId } from '@tombolo/shared/model/service-table.ts';

interface Claim {
  readonly key: ServiceKey;
  readonly kind: FrontendKind;
  readonly createdAt: string;
}

const RANK: Readonly<Record<FrontendKind, number>> = { ClusterIP: 0, NodePort: 1, LoadBalancer: 1, ExternalIP: 2 };

const compareClaims = (a: Claim, b: Claim): number =>
  RANK[a.kind] - RANK[b.kind] || compareText(a.createdAt, b.createdAt) || compareText(a.key, b.key);

const NO_REFUSALS: ReadonlyMap<string, string> = new Map();

export class FrontendLedger {
  /** By frontend: the owner first. */
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #frontends = new Map<ServiceKey, readonly string[]>();
  #serviceRange: ReturnType<typeof prefixMatcher> = () => undefined;

  /** Prefixes from which the API server takes cluster IPs; nothing external may be in them. */
  setServiceRanges(ranges: readonly Cidr[]): void {
    this.#serviceRange = prefixMatcher(ranges);
  }

  /** What a Service asks for now. Answers with the other Services that gained or lost a frontend by it. */
  set(key: ServiceKey, service: LocalService | undefined): ReadonlySet<ServiceKey> {
    const touched = new Set<ServiceKey>();
    for (const id of this.#frontends.get(key) ?? []) this.#replace(id, key, undefined, touched);
    const claims = new Map<string, Claim>();
    for (const frontend of service ? frontendsOf(service) : []) {
      if (this.#addressRefusal(frontend) !== undefined) continue;
      const id = frontendId(frontend);
      // A Service may ask for one address in two ways: the higher rank comes first.
      if (!claims.has(id)) claims.set(id, { key, kind: frontend.kind, createdAt: service?.createdAt ?? '' });
    }
    for (const [id, claim] of claims) this.#replace(id, key, claim, touched);
    if (claims.size > 0) this.#frontends.set(key, [...claims.keys()]);
    else this.#frontends.delete(key);
    touched.delete(key);
    return touched;
  }

  /** Why frontends of this Service are not served, by `frontendId`. */
  refusals(service: LocalService): ReadonlyMap<string, string> {
    let refusals: Map<string, string> | undefined;
    for (const frontend of frontendsOf(service)) {
      const reason = this.#addressRefusal(frontend) ?? this.#ownerRefusal(frontend, service.key);
      if (reason === undefined) continue;
      refusals ??= new Map();
      refusals.set(frontendId(frontend), reason);
    }
    return refusals ?? NO_REFUSALS;
  }

  #addressRefusal({ kind, address }: Frontend): string | undefined {
    if (isMapped(address)) return 'an IPv4-mapped IPv6 address cannot be served';
    if (kind === 'ClusterIP' || kind === 'NodePort') return undefined;
    const forbidden = forbiddenAsRemote(address);
    if (forbidden) return `${forbidden} cannot be external`;
    const range = this.#serviceRange(address);
    return range && `inside the range of cluster IPs ${formatCidr(range)}`;
  }

  #ownerRefusal(frontend: Frontend, key: ServiceKey): string | undefined {
    const [owner] = this.#claims.get(frontendId(frontend)) ?? [];
    return owner === undefined || owner.key === key ? undefined : `${owner.key} has it as its ${owner.kind}`;
  }

  #replace(id: string, key: ServiceKey, claim: Claim | undefined, touched: Set<ServiceKey>): void {
    const before = this.#claims.get(id) ?? [];
    const after = before.filter((each) => each.key !== key);
    if (claim) after.push(claim);
    after.sort(compareClaims);
    for (const each of [before[0], after[0]]) if (each) touched.add(each.key);
    if (after.length > 0) this.#claims.set(id, after);
    else this.#claims.delete(id);
  }
}
