/** Nodes → entries under `nodes/v1`, with their addresses and pod CIDRs. Nodes are exported always. */
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { parseCidr } from '@tombolo/shared/model/ip.ts';
import { encodeNode } from '@tombolo/shared/wire/node.ts';
import { wireNode } from '@tombolo/shared/wire/to-wire.ts';
import { type EntryChanges, type EntrySource, Said } from './entries.ts';

export class NodeExport implements EntrySource {
  readonly #cluster: ClusterIdentity;
  readonly #said = new Said();
  readonly #changes = new Map<string, string | undefined>();
  readonly #refused = new Set<string>();

  constructor(cluster: ClusterIdentity) {
    this.#cluster = cluster;
  }

  nodeChanged(name: string, value: KubernetesNode | undefined): void {
    this.#refused.delete(name);
    const entry = value && nodeEntry(this.#cluster, value);
    if (this.#said.update(name, entry)) this.#changes.set(name, entry);
  }

  nodeRefused(name: string): void {
    this.#refused.add(name);
  }

  takeChanges(): EntryChanges {
    const changes = new Map(this.#changes);
    this.#changes.clear();
    return changes;
  }

  get keep(): ReadonlySet<string> {
    return this.#refused;
  }

  get suffixes(): Iterable<string> {
    return this.#said.suffixes;
  }

  get size(): number {
    return this.#said.size;
  }
}

export function nodeEntry(cluster: ClusterIdentity, node: KubernetesNode): string {
  return encodeNode(
    wireNode(cluster, {
      name: node.name,
      addresses: node.typedAddresses.map(({ type, address }) => ({ type, ip: address })),
      podCidrs: node.podCidrs.flatMap((text) => {
        const parsed = parseCidr(text);
        return parsed.ok ? [parsed.value] : [];
      }),
      labels: node.labels,
      bootId: node.bootId,
    }),
  );
}
