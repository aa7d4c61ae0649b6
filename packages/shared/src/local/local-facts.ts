/**
 * What this cluster's own Kubernetes says of Services, EndpointSlices and Namespaces, and which Services a change
 * touches: one record for the agent's table and for what the apiserver exports. No I/O; one writer.
 */
import { isDeepStrictEqual } from 'node:util';
import { endpointsOf } from '../merge/endpoints.ts';
import {
  type LocalEndpoint,
  type LocalEndpointSlice,
  type LocalNamespace,
  type LocalService,
  type ServiceKey,
  splitServiceKey,
} from '../model/service.ts';

export class LocalFacts {
  readonly #defaultGlobal: boolean;
  readonly #services = new Map<ServiceKey, LocalService>();
  readonly #slices = new Map<ServiceKey, Map<string, LocalEndpointSlice>>();
  readonly #sliceOwners = new Map<string, ServiceKey>();
  readonly #namespaces = new Map<string, LocalNamespace>();
  /** The Services there are, by namespace. */
  readonly #keysOf = new Map<string, Set<ServiceKey>>();
  readonly #serviceListeners: ((key: ServiceKey) => void)[] = [];
  readonly #namespaceListeners: ((name: string) => void)[] = [];

  /** `defaultGlobal`: whether namespaces that do not say so take part. */
  constructor(defaultGlobal: boolean) {
    this.#defaultGlobal = defaultGlobal;
  }

  /** Told of every Service that a change touches. */
  onService(listener: (key: ServiceKey) => void): void {
    this.#serviceListeners.push(listener);
  }

  onNamespace(listener: (name: string) => void): void {
    this.#namespaceListeners.push(listener);
  }

  setService(key: ServiceKey, service: LocalService | undefined): void {
    if (service) this.#services.set(key, service);
    else this.#services.delete(key);
    this.#file(key, service !== undefined);
    this.#touched(key);
  }

  /** `key` is the slice's own; a slice may change the Service it belongs to. */
  setSlice(key: string, slice: LocalEndpointSlice | undefined): void {
    const before = this.#sliceOwners.get(key);
    if (before !== undefined && before !== slice?.service) this.#removeSlice(before, key);
    if (!slice) {
      this.#sliceOwners.delete(key);
      return;
    }
    this.#sliceOwners.set(key, slice.service);
    const slices = this.#slices.get(slice.service);
    if (slices) slices.set(key, slice);
    else this.#slices.set(slice.service, new Map([[key, slice]]));
    this.#touched(slice.service);
  }

  /** Most of what changes in a namespace's life is of no interest here. */
  setNamespace(name: string, namespace: LocalNamespace | undefined): void {
    if (isDeepStrictEqual(namespace, this.#namespaces.get(name))) return;
    if (namespace) this.#namespaces.set(name, namespace);
    else this.#namespaces.delete(name);
    for (const listener of this.#namespaceListeners) listener(name);
    for (const key of this.#keysOf.get(name) ?? []) this.#touched(key);
  }

  get services(): ReadonlyMap<ServiceKey, LocalService> {
    return this.#services;
  }

  labelsOf(namespace: string): LocalNamespace['labels'] {
    return this.#namespaces.get(namespace)?.labels ?? {};
  }

  endpointsOf(key: ServiceKey): readonly LocalEndpoint[] {
    return endpointsOf(this.#services.get(key), this.#slices.get(key)?.values() ?? []);
  }

  /** Whether what is in this namespace is part of the mesh. False for one that is not there (yet, or any more). */
  takesPart(namespace: string): boolean {
    const known = this.#namespaces.get(namespace);
    return known !== undefined && (known.global ?? this.#defaultGlobal);
  }

  #touched(key: ServiceKey): void {
    for (const listener of this.#serviceListeners) listener(key);
  }

  #removeSlice(service: ServiceKey, key: string): void {
    const slices = this.#slices.get(service);
    slices?.delete(key);
    if (slices?.size === 0) this.#slices.delete(service);
    this.#touched(service);
  }

  #file(key: ServiceKey, present: boolean): void {
    const { namespace } = splitServiceKey(key);
    const keys = this.#keysOf.get(namespace) ?? new Set<ServiceKey>();
    if (present) this.#keysOf.set(namespace, keys.add(key));
    else if (keys.delete(key) && keys.size === 0) this.#keysOf.delete(namespace);
  }
}
