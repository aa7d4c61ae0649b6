/**
 * Services and their EndpointSlices → entries under `services/v1`. Exported is what is shared and in a namespace that
 * takes part; whatever is not has no entry.
 */
import { endpointsOf } from '@tombolo/shared/merge/endpoints.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import {
  type LocalEndpointSlice,
  type LocalService,
  type ServiceKey,
  splitServiceKey,
} from '@tombolo/shared/model/service.ts';
import { type EntryChanges, type EntrySource, ExportedValues } from './entries.ts';
import type { Namespaces } from './namespaces.ts';
import { serviceEntry, type Truncation } from './service-entry.ts';

/** What one entry may add to etcd's history, and what of it is too little to count. */
const BYTES_PER_SECOND = 1024 * 1024;
const LARGE_BYTES = 64 * 1024;

export class ServiceExport implements EntrySource {
  readonly #cluster: ClusterIdentity;
  readonly #namespaces: Namespaces;
  readonly #limit: number;
  readonly #services = new Map<ServiceKey, LocalService>();
  readonly #slices = new Map<string, LocalEndpointSlice>();
  readonly #slicesOf = new Map<ServiceKey, Set<string>>();
  readonly #dirty = new Set<ServiceKey>();
  readonly #dirtyNamespaces = new Set<string>();
  readonly #exported = new ExportedValues();
  readonly #truncated = new Map<ServiceKey, Truncation>();
  readonly #refused = new Set<ServiceKey>();
  /** Until when a large entry is not made anew. */
  readonly #notBefore = new Map<ServiceKey, number>();
  #heldBackUntil: number | undefined;

  constructor(cluster: ClusterIdentity, namespaces: Namespaces, limit: number) {
    this.#cluster = cluster;
    this.#namespaces = namespaces;
    this.#limit = limit;
    namespaces.onChange((name) => this.#dirtyNamespaces.add(name));
  }

  serviceChanged(key: ServiceKey, value: LocalService | undefined): void {
    this.#refused.delete(key);
    if (value) this.#services.set(key, value);
    else this.#services.delete(key);
    this.#dirty.add(key);
  }

  /** Nothing is known of it but that it exists: what an earlier life said of it stays. */
  serviceRefused(key: ServiceKey): void {
    if (!this.#services.has(key)) this.#refused.add(key);
  }

  sliceChanged(key: string, value: LocalEndpointSlice | undefined): void {
    const previous = this.#slices.get(key);
    if (previous) this.#forget(previous);
    if (!value) return;
    this.#slices.set(key, value);
    this.#dirty.add(value.service);
    const siblings = this.#slicesOf.get(value.service);
    if (siblings) siblings.add(key);
    else this.#slicesOf.set(value.service, new Set([key]));
  }

  /** Newest facts win, the first of a large entry at once. It is held back before it is made, which costs as much. */
  takeChanges(now: number): EntryChanges {
    if (this.#dirtyNamespaces.size > 0) {
      for (const key of this.#services.keys()) {
        if (this.#dirtyNamespaces.has(splitServiceKey(key).namespace)) this.#dirty.add(key);
      }
      this.#dirtyNamespaces.clear();
    }
    const changes = new Map<string, string | undefined>();
    this.#heldBackUntil = undefined;
    for (const key of this.#dirty) {
      const notBefore = this.#notBefore.get(key) ?? now;
      if (notBefore > now) {
        this.#heldBackUntil = Math.min(notBefore, this.#heldBackUntil ?? notBefore);
        continue;
      }
      this.#dirty.delete(key);
      const value = this.#entry(key);
      if (value === undefined || value.length < LARGE_BYTES) this.#notBefore.delete(key);
      else this.#notBefore.set(key, now + (value.length / BYTES_PER_SECOND) * 1_000);
      if (this.#exported.update(key, value)) changes.set(key, value);
    }
    return changes;
  }

  get heldBackUntil(): number | undefined {
    return this.#heldBackUntil;
  }

  get keep(): ReadonlySet<string> {
    return this.#refused;
  }

  /** Services whose entry lacks backends because etcd takes no greater one. */
  get truncated(): ReadonlyMap<ServiceKey, Truncation> {
    return this.#truncated;
  }

  get size(): number {
    return this.#exported.size;
  }

  #entry(key: ServiceKey): string | undefined {
    this.#truncated.delete(key);
    const service = this.#services.get(key);
    if (!service?.shared || !this.#namespaces.isGlobal(splitServiceKey(key).namespace)) return undefined;
    const slices = [...(this.#slicesOf.get(key) ?? [])].flatMap((each) => this.#slices.get(each) ?? []);
    const { value, truncation } = serviceEntry(this.#cluster, service, endpointsOf(service, slices), this.#limit);
    if (truncation) this.#truncated.set(key, truncation);
    return value;
  }

  #forget(slice: LocalEndpointSlice): void {
    this.#slices.delete(slice.key);
    this.#dirty.add(slice.service);
    const siblings = this.#slicesOf.get(slice.service);
    siblings?.delete(slice.key);
    if (siblings?.size === 0) this.#slicesOf.delete(slice.service);
  }
}
