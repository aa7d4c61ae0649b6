/** Names and numbers of clusters, as Cilium's ClusterMesh limits them. */
import { fail, ok, type Result } from './result.ts';

export type ClusterName = string & { readonly brand: 'ClusterName' };

export interface ClusterIdentity {
  readonly name: ClusterName;
  /** 1..255, or 1..511 in a mesh of 511. */
  readonly id: number;
}

/** How many clusters a mesh may have; the same everywhere in it. */
export type MaxClusters = 255 | 511;

export function parseClusterName(text: string): Result<ClusterName> {
  return text.length <= 32 && /^([a-z0-9][-a-z0-9]*)?[a-z0-9]$/.test(text)
    ? ok(text as ClusterName)
    : fail(
        `cluster name must be 1-32 lower-case letters, digits or '-', not at the ends: current value is ${JSON.stringify(text)}`,
      );
}

export function parseClusterId(id: unknown, max: MaxClusters = 255): Result<number> {
  return typeof id === 'number' && Number.isInteger(id) && id >= 1 && id <= max
    ? ok(id)
    : fail(`cluster id must be 1-${max}: current value is ${JSON.stringify(id) ?? 'absent'}`);
}

export function parseClusterIdentity(name: string, id: unknown, max: MaxClusters = 255): Result<ClusterIdentity> {
  const parsedName = parseClusterName(name);
  if (!parsedName.ok) return parsedName;
  if (name === 'default') return fail("cluster name must not be 'default' in a mesh");
  const parsedId = parseClusterId(id, max);
  return parsedId.ok ? ok({ name: parsedName.value, id: parsedId.value }) : parsedId;
}
