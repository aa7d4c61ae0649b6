/**
 * What the server knows about a kind: names, scope, subresources and the pure functions that default, check and print
 * its objects. One version of each kind is served.
 */
import type { Cause } from './api-error.ts';
import type { KubeObject } from './objects.ts';
import type { MergeNode } from './patch/merge-keys.ts';
import type { ServiceAddresses } from './service-addresses.ts';
import type { Table } from './tables.ts';

export interface ResourceDefinition {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly hasStatus: boolean;
  /** Whether `spec.replicas` can be read and written as a Scale. */
  readonly hasScale: boolean;
  /** Whether `metadata.generation` counts changes of the spec. */
  readonly countsGenerations: boolean;
  readonly selectableFields: readonly string[];
  readonly table: Table;
  readonly merge: MergeNode;
  /** Fills in what the caller left out; pure, changes the draft. */
  setDefaults?(draft: KubeObject, old: KubeObject | undefined): void;
  validate?(object: KubeObject, old: KubeObject | undefined): readonly Cause[];
  /** Hands out cluster-wide unique values; after validation. */
  allocate?(draft: KubeObject, addresses: ServiceAddresses): readonly Cause[];
  /** Seconds between the request to delete and the removal by somebody else; 0 removes at once. */
  gracePeriod?(object: KubeObject): number;
}

export const tableOf = ({ group, resource }: { group: string; resource: string }): string => `${group}/${resource}`;

export const apiVersionOf = ({ group, version }: { group: string; version: string }): string =>
  group === '' ? version : `${group}/${version}`;

export class Registry {
  /** By name: `kubectl get all` prints in this order. */
  readonly all: readonly ResourceDefinition[];

  constructor(definitions: readonly ResourceDefinition[]) {
    this.all = definitions.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
  }

  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    return this.all.find((d) => d.resource === resource && d.group === group && d.version === version);
  }

  definitionOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): ResourceDefinition {
    const definition = this.all.find((d) => d.kind === kind && apiVersionOf(d) === apiVersion);
    if (!definition) throw new Error(`Cannot handle object: expected a served kind: current value is ${kind}`);
    return definition;
  }
}
