/**
 * What is to be written of MetalLB's status resources of one kind, for this node. Pure, with the time handed in.
 *
 * T1. Of a Service that somebody else says something of for this node, nothing is said; nothing of others is touched.
 * T2. What is announced no more is taken back once it has been so for `SETTLE_MS`: an agent that has just started, and a link
 *     that flaps, write nothing twice.
 * T3. What somebody else took away is not made again before `CONTESTED_MS` have passed since we made it: MetalLB's speaker
 *     takes away what it does not announce itself.
 */
import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import type { ServiceStatusObject } from '@tombolo/shared/kubernetes/service-status-object.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';

/** What the status says beside node and Service: `interfaces` or `peers`. */
export type Told = ReadonlyMap<ServiceKey, Json>;

export type StatusWrite =
  | { readonly kind: 'create'; readonly name: string; readonly service: ServiceKey; readonly status: Json }
  | { readonly kind: 'update'; readonly name: string; readonly service: ServiceKey; readonly status: Json }
  | { readonly kind: 'delete'; readonly name: string; readonly service: ServiceKey | undefined };

export const SETTLE_MS = 5_000;
export const CONTESTED_MS = 300_000;

export class StatusPlan {
  readonly #prefix: string;
  readonly #node: string;
  /** Since when a Service of which we say something is announced no more. */
  readonly #silentSince = new Map<ServiceKey, number>();
  readonly #madeAt = new Map<ServiceKey, number>();

  /** `prefix`: of the names of objects. */
  constructor(prefix: string, node: string) {
    this.#prefix = prefix;
    this.#node = node;
  }

  /** In the order of `told`, what is to go last. */
  writes(now: number, told: Told, found: Iterable<ServiceStatusObject>): readonly StatusWrite[] {
    const ours = new Map<ServiceKey | undefined, ServiceStatusObject>();
    const contested = new Set<ServiceKey | undefined>();
    const surplus: ServiceStatusObject[] = [];
    for (const each of found) {
      const { isOurs, service } = each;
      if (!isOurs) contested.add(service);
      else if (service === undefined || ours.has(service) || !this.#isAbout(each, service)) surplus.push(each);
      else ours.set(service, each);
    }
    const writes: StatusWrite[] = [];
    for (const [service, more] of told) {
      this.#silentSince.delete(service);
      if (contested.has(service)) continue;
      const status = this.#statusOf(service, more);
      const there = ours.get(service);
      if (there && !isDeepStrictEqual(there.status, status))
        writes.push({ kind: 'update', name: there.name, service, status });
      const madeAt = this.#madeAt.get(service) ?? Number.NEGATIVE_INFINITY;
      if (!there && now - madeAt >= CONTESTED_MS)
        writes.push({ kind: 'create', name: this.#nameFor(service), service, status });
    }
    for (const { name, service } of [...surplus, ...ours.values()])
      if (this.#isToGo(now, name, service, told, contested, ours)) writes.push({ kind: 'delete', name, service });
    for (const service of this.#madeAt.keys())
      if (!told.has(service) && !ours.has(service)) this.#madeAt.delete(service);
    return writes;
  }

  /** To be told of what was done. */
  done({ kind, service }: StatusWrite, now: number): void {
    if (service === undefined) return;
    if (kind === 'create') this.#madeAt.set(service, now);
    if (kind === 'delete') {
      this.#madeAt.delete(service);
      this.#silentSince.delete(service);
    }
  }

  #isToGo(
    now: number,
    name: string,
    service: ServiceKey | undefined,
    told: Told,
    contested: ReadonlySet<ServiceKey | undefined>,
    ours: ReadonlyMap<ServiceKey | undefined, ServiceStatusObject>,
  ): boolean {
    if (service === undefined || contested.has(service) || ours.get(service)?.name !== name) return true;
    if (told.has(service)) return false;
    const since = this.#silentSince.get(service) ?? now;
    this.#silentSince.set(service, since);
    return now - since >= SETTLE_MS;
  }

  /** What its status names cannot be changed. */
  #isAbout({ status }: ServiceStatusObject, service: ServiceKey): boolean {
    const wanted = this.#statusOf(service, {});
    return Object.entries(wanted).every(([field, value]) => status[field] === undefined || status[field] === value);
  }

  #statusOf(service: ServiceKey, more: Json): Json {
    const { namespace, name } = splitServiceKey(service);
    return { node: this.#node, serviceName: name, serviceNamespace: namespace, ...more };
  }

  /** The same for the next agent: of two that do not know of each other the second is refused. */
  #nameFor(service: ServiceKey): string {
    return `${this.#prefix}-${hash('sha256', `${this.#node} ${service}`, 'hex').slice(0, 20)}`;
  }
}
