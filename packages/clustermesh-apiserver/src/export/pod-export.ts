/**
 * Pods → entries under `ip/v1`, and the users of identity numbers. While two pods claim one address the older has it
 * and the younger takes over when it goes. A pod counts when its namespace takes part in the mesh.
 */
import type { KubernetesPod } from '@tombolo/shared/kubernetes/pod-object.ts';
import type { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { encodeIpEntry, ipEntrySuffix } from '@tombolo/shared/wire/ip-entry.ts';
import { wireIpEntry } from '@tombolo/shared/wire/to-wire.ts';
import { type EntryChanges, type EntrySource, ExportedValues } from './entries.ts';
import { identityText } from './identity-labels.ts';
import type { IdentityNumbers } from './identity-numbers.ts';

export class PodExport implements EntrySource {
  readonly keep: ReadonlySet<string> = new Set();
  readonly #cluster: ClusterIdentity;
  readonly #facts: LocalFacts;
  readonly #numbers: IdentityNumbers;
  readonly #pods = new Map<string, KubernetesPod>();
  readonly #claims = new Map<IpAddress, Set<string>>();
  readonly #dirtyPods = new Set<string>();
  readonly #dirtyNamespaces = new Set<string>();
  readonly #dirtyAddresses = new Set<IpAddress>();
  readonly #withoutIdentity = new Set<string>();
  readonly #exported = new ExportedValues();
  /** The numbers that pods use; each pod is given its own before they are read. */
  readonly identities: EntrySource;

  constructor(cluster: ClusterIdentity, facts: LocalFacts, numbers: IdentityNumbers) {
    this.#cluster = cluster;
    this.#facts = facts;
    this.#numbers = numbers;
    this.identities = {
      keep: new Set(),
      takeChanges: () => {
        this.#settle();
        return numbers.takeChanges();
      },
      get size() {
        return numbers.size;
      },
    };
    facts.onNamespace((name) => this.#dirtyNamespaces.add(name));
  }

  podChanged(key: string, value: KubernetesPod | undefined): void {
    for (const address of this.#pods.get(key)?.addresses ?? []) this.#claimsOf(address).delete(key);
    if (value) this.#pods.set(key, value);
    else this.#pods.delete(key);
    for (const address of value?.addresses ?? []) this.#claimsOf(address).add(key);
    this.#dirtyPods.add(key);
  }

  takeChanges(): EntryChanges {
    this.#settle();
    const dirty = [...this.#dirtyAddresses];
    this.#dirtyAddresses.clear();
    return this.#exported.update(dirty.map((ip) => [ipEntrySuffix({ ip }), this.#entry(ip)]));
  }

  /** Pods for whose labels no number was left. */
  get withoutIdentity(): ReadonlySet<string> {
    return this.#withoutIdentity;
  }

  get size(): number {
    return this.#exported.size;
  }

  /** Gives every pod its identity: in the order of their texts, so that equal facts lead to equal numbers. */
  #settle(): void {
    if (this.#dirtyNamespaces.size > 0) {
      for (const [key, pod] of this.#pods) if (this.#dirtyNamespaces.has(pod.namespace)) this.#dirtyPods.add(key);
      this.#dirtyNamespaces.clear();
    }
    const wanted: (readonly [text: string, key: string])[] = [];
    for (const key of this.#dirtyPods) {
      const pod = this.#pods.get(key);
      for (const address of pod?.addresses ?? []) this.#dirtyAddresses.add(address);
      if (pod && this.#facts.takesPart(pod.namespace)) {
        wanted.push([identityText(this.#cluster, pod, this.#facts.labelsOf(pod.namespace)), key]);
      } else {
        this.#numbers.release(key);
        this.#withoutIdentity.delete(key);
      }
    }
    this.#dirtyPods.clear();
    wanted.sort(([a], [b]) => compareText(a, b));
    for (const [text, key] of wanted) {
      if (this.#numbers.use(key, text) === undefined) this.#withoutIdentity.add(key);
      else this.#withoutIdentity.delete(key);
    }
  }

  #entry(address: IpAddress): string | undefined {
    const claims = this.#claims.get(address);
    if (claims?.size === 0) this.#claims.delete(address);
    const owner = [...(claims ?? [])]
      .flatMap((key) => this.#owned(key) ?? [])
      .toSorted((a, b) => compareText(a.pod.createdAt, b.pod.createdAt) || compareText(a.key, b.key))[0];
    if (!owner) return undefined;
    const { pod, identity } = owner;
    return encodeIpEntry(
      wireIpEntry({
        ip: address,
        hostIp: pod.hostAddresses[0] ?? '',
        identity,
        namespace: pod.namespace,
        pod: pod.name,
        serviceAccount: pod.serviceAccount,
      }),
    );
  }

  #owned(key: string): { readonly key: string; readonly pod: KubernetesPod; readonly identity: number } | undefined {
    const pod = this.#pods.get(key);
    const identity = this.#numbers.numberOf(key);
    return pod && identity !== undefined ? { key, pod, identity } : undefined;
  }

  /** For changing them. */
  #claimsOf(address: IpAddress): Set<string> {
    this.#dirtyAddresses.add(address);
    const claims = this.#claims.get(address) ?? new Set();
    this.#claims.set(address, claims);
    return claims;
  }
}
