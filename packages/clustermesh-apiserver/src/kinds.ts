/** The kinds of entries that this cluster says, and what each depends on. */
import type { EntryKind } from '@tombolo/shared/wire/keys.ts';

/** In the order in which they are to be written. */
export const KINDS = ['nodes', 'services', 'identities', 'ip'] as const satisfies readonly EntryKind[];
export type Kind = (typeof KINDS)[number];

/** Collections of the Kubernetes API. */
export type SourceName = 'services' | 'endpointslices' | 'namespaces' | 'nodes' | 'pods';

/** `identities`: those that whoever wrote before left in etcd. */
export type Need = SourceName | 'identities';

/** What must have been heard completely before a kind may be written. */
export const NEEDS: Readonly<Record<Kind, readonly Need[]>> = {
  nodes: ['nodes'],
  services: ['services', 'endpointslices', 'namespaces'],
  identities: ['pods', 'namespaces', 'identities'],
  ip: ['pods', 'namespaces', 'identities'],
};

export function mapKinds<T>(make: (kind: Kind) => T): Readonly<Record<Kind, T>> {
  return { nodes: make('nodes'), services: make('services'), identities: make('identities'), ip: make('ip') };
}
