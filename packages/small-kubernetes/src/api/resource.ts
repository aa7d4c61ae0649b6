/**
 * What the server knows about a kind: names, scope, subresources and the pure functions that default, check and print
 * its objects.
 */
import type { Cidr } from '@tombolo/shared/model/ip.ts';
import type { Cause } from './api-error.ts';
import type { KubeObject } from './objects.ts';
import type { MergeNode } from './patch/merge-keys.ts';
import type { Table } from './tables.ts';

export interface ResourceDefinition {
  readonly group: string;
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
  /** Hands out what no other object of the kind may have, after validation: cluster addresses, node ports. */
  allocate?(draft: KubeObject, ranges: readonly Cidr[], all: readonly KubeObject[]): readonly Cause[];
  /** Seconds between the request to delete and the removal by somebody else; 0 removes at once. */
  gracePeriod?(object: KubeObject): number;
}

export const VERSION = 'v1';

export const tableOf = ({ group, resource }: { group: string; resource: string }): string => `${group}/${resource}`;

/** One version of each kind is served, and always of this name. */
export const apiVersionOf = ({ group }: { group: string }): string => (group === '' ? VERSION : `${group}/${VERSION}`);

export class Registry {
  /** By name: `kubectl get all` prints in this order. */
  readonly all: readonly ResourceDefinition[];

  constructor(definitions: readonly ResourceDefinition[]) {
    this.all = definitions.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
  }

  find(group: string, version: string, resource: string): ResourceDefinition | undefined {
    return this.all.find((d) => d.resource === resource && d.group === group && version === VERSION);
  }

  definitionOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): ResourceDefinition {
    const definition = this.all.find((d) => d.kind === kind && apiVersionOf(d) === apiVersion);
    if (!definition) throw new Error(`Cannot handle object: expected a served kind: current value is ${kind}`);
    return definition;
  }
}
