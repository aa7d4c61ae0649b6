/**
 * What the server knows about a kind: names, scope, subresources and the pure functions that default, check and print
 * its objects. The registry holds the built-in kinds and those that CustomResourceDefinitions add while it runs.
 */
import type { Cause } from './api-error.ts';
import type { KubeObject } from './objects.ts';
import type { MergeNode } from './patch/strategic-merge.ts';
import type { ServiceAddresses } from './service-addresses.ts';

/** A cell is printed as it is; columns of priority above 0 only with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  cell(object: KubeObject, now: Date): string | number | boolean;
}

export interface ScalePaths {
  readonly replicas: string;
  readonly statusReplicas: string;
  /** Where the selector is: the whole selector, or for custom resources its text form. */
  readonly selector: string;
}

/** What allocating kinds may ask. */
export interface AllocationContext {
  readonly addresses: ServiceAddresses;
}

export interface ResourceDefinition {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly hasStatus: boolean;
  readonly scale?: ScalePaths;
  /** Whether `metadata.generation` counts changes of the spec. */
  readonly countsGenerations: boolean;
  readonly selectableFields: readonly string[];
  readonly columns: readonly Column[];
  /** Merge keys for strategic merge patches; kinds without refuse them with 415. */
  readonly merge?: MergeNode;
  /** Fills in what the caller left out; pure, changes the draft. */
  setDefaults?(draft: KubeObject, old: KubeObject | undefined): void;
  validate?(object: KubeObject, old: KubeObject | undefined): readonly Cause[];
  /** Hands out cluster-wide unique values; after validation. */
  allocate?(draft: KubeObject, old: KubeObject | undefined, context: AllocationContext): readonly Cause[];
  /** The stored object as this version shows it, where that is more than another `apiVersion`. */
  present?(stored: KubeObject): KubeObject;
  /** Seconds between the request to delete and the removal by somebody else; 0 removes at once. */
  gracePeriod?(object: KubeObject): number;
}

export const tableOf = ({ group, resource }: { group: string; resource: string }): string => `${group}/${resource}`;

export const apiVersionOf = ({ group, version }: { group: string; version: string }): string =>
  group === '' ? version : `${group}/${version}`;

/** Groups in the order in which discovery lists them: the order in which they were first added. */
export class Registry {
  readonly #definitions: ResourceDefinition[] = [];

  constructor(definitions: readonly ResourceDefinition[] = []) {
    for (const definition of definitions) this.add(definition);
  }

  add(definition: ResourceDefinition): void {
    this.remove(definition.group, definition.version, definition.resource);
    this.#definitions.push(definition);
  }

  remove(group: string, version: string, resource: string): void {
    const at = this.#definitions.findIndex(
      (d) => d.group === group && d.version === version && d.resource === resource,
    );
    if (at >= 0) this.#definitions.splice(at, 1);
  }

  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    return this.#definitions.find((d) => d.resource === resource && d.group === group && d.version === version);
  }

  /** By what an owner reference or an object says of itself. */
  findKind(apiVersion: string, kind: string): ResourceDefinition | undefined {
    return this.#definitions.find((d) => d.kind === kind && apiVersionOf(d) === apiVersion);
  }

  get all(): readonly ResourceDefinition[] {
    return this.#definitions;
  }

  get groups(): readonly string[] {
    return [...new Set(this.#definitions.map((d) => d.group))];
  }

  versions(group: string): readonly string[] {
    return [...new Set(this.#definitions.filter((d) => d.group === group).map((d) => d.version))];
  }

  /** By name: `kubectl get all` prints in this order. */
  inVersion(group: string, version: string): readonly ResourceDefinition[] {
    const own = this.#definitions.filter((d) => d.group === group && d.version === version);
    return own.sort((a, b) => (a.resource < b.resource ? -1 : 1));
  }
}
