/** Nodes → entries under `nodes/v1`, with their addresses and pod CIDRs. Nodes are exported always. */
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { parseCidr } from '@tombolo/shared/model/ip.ts';
import { encodeNode } from '@tombolo/shared/wire/node.ts';
import { wireNode } from '@tombolo/shared/wire/to-wire.ts';
import { type EntryChanges, type EntrySource, ExportedValues } from './entries.ts';

export class NodeExport implements EntrySource {
  readonly #cluster: ClusterIdentity;
  readonly #exported = new ExportedValues();
  /** Heard since the last call of `takeChanges`. */
  readonly #heard = new Map<string, KubernetesNode | undefined>();
  readonly #refused = new Set<string>();

  constructor(cluster: ClusterIdentity) {
    this.#cluster = cluster;
  }

  nodeChanged(name: string, value: KubernetesNode | undefined): void {
    this.#refused.delete(name);
    this.#heard.set(name, value);
  }

  nodeRefused(name: string): void {
    this.#refused.add(name);
  }

  takeChanges(): EntryChanges {
    const heard = [...this.#heard];
    this.#heard.clear();
    return this.#exported.update(heard.map(([name, node]) => [name, node && nodeEntry(this.#cluster, node)]));
  }

  get keep(): ReadonlySet<string> {
    return this.#refused;
  }

  get size(): number {
    return this.#exported.size;
  }
}

function nodeEntry(cluster: ClusterIdentity, node: KubernetesNode): string {
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
