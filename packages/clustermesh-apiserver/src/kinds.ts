/** The kinds of entries that this cluster says, and what each depends on. */
import type { EntryKind } from '@tombolo/shared/wire/keys.ts';
import type { SourceName } from './sources.ts';

export const KINDS = ['nodes', 'services', 'identities', 'ip'] as const satisfies readonly EntryKind[];
export type Kind = (typeof KINDS)[number];

/** `identities`: those that whoever wrote before left in etcd. */
export type Need = SourceName | 'identities';

/** What must have been heard completely before a kind may be written. */
export const NEEDS: Readonly<Record<Kind, readonly Need[]>> = {
  nodes: ['nodes'],
  services: ['services', 'endpointslices', 'namespaces'],
  identities: ['pods', 'namespaces', 'identities'],
  ip: ['pods', 'namespaces', 'identities'],
};

/** Kinds that a source is part of, in the order in which they are to be written. */
export const PART_OF: Readonly<Record<SourceName, readonly Kind[]>> = {
  nodes: ['nodes'],
  services: ['services'],
  endpointslices: ['services'],
  namespaces: ['services', 'identities', 'ip'],
  pods: ['identities', 'ip'],
};

export function mapKinds<T>(make: (kind: Kind) => T): Readonly<Record<Kind, T>> {
  return { nodes: make('nodes'), services: make('services'), identities: make('identities'), ip: make('ip') };
}
