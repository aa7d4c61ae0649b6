/**
 * What other clusters say of Services, and what an earlier agent left of those that have not spoken yet: a cluster that
 * said nothing about a Service since this process started keeps what was adopted, until its listing is complete. What
 * holds follows from what is known, not from the order in which it came.
 */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { ClusterView, RemoteContribution, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import { type AdoptedCluster, placeholderName } from './adopted.ts';

interface Remote {
  readonly identity: ClusterIdentity;
  view: ClusterView;
  /** Services of which it says something that cannot be used. */
  refused: ReadonlySet<ServiceKey>;
  readonly services: Map<ServiceKey, RemoteService>;
}

interface Adopted {
  readonly identity: ClusterIdentity;
  readonly services: Map<ServiceKey, RemoteService>;
}

/** Whether the cluster is being listed for the first time, so that much more is about to follow. */
export type Occasion = 'change' | 'first-listing';

export class RemoteContributions {
  readonly #touched: (key: ServiceKey, occasion: Occasion) => void;
  readonly #remotes = new Map<ClusterName, Remote>();
  #adopted: readonly Adopted[] = [];

  constructor(touched: (key: ServiceKey, occasion: Occasion) => void) {
    this.#touched = touched;
  }

  setServices(cluster: ClusterIdentity, changes: ReadonlyMap<ServiceKey, RemoteService | undefined>): void {
    const { services, view } = this.#remote(cluster);
    const occasion = view.kind === 'unknown' ? 'first-listing' : 'change';
    const adopted = this.#adoptedOf(cluster);
    for (const [key, service] of changes) {
      if (service) services.set(key, service);
      else services.delete(key);
      for (const each of adopted) each.services.delete(key);
      this.#touched(key, occasion);
    }
  }

  setView(cluster: ClusterIdentity, view: ClusterView, refused: ReadonlySet<ServiceKey>): void {
    const remote = this.#remote(cluster);
    if (remote.view.kind !== view.kind) this.#touchAll(remote.services);
    remote.view = view;
    remote.refused = refused;
    this.#dropSuperseded();
  }

  remove(cluster: ClusterIdentity): void {
    const remote = this.#remotes.get(cluster.name);
    this.#remotes.delete(cluster.name);
    if (remote) this.#touchAll(remote.services);
    this.#drop((adopted) => isSame(adopted.identity, remote?.identity ?? cluster));
  }

  adopt(clusters: readonly AdoptedCluster[]): void {
    this.#adopted = clusters.map(({ identity, services }) => ({ identity, services: new Map(services) }));
    for (const { services } of this.#adopted) this.#touchAll(services);
    this.#dropSuperseded();
  }

  /**
   * Which clusters there are, with their ids where these are known: what was adopted of others is withdrawn. Whose name
   * is not known may be any of those whose id is not.
   */
  settle(clusters: ReadonlyMap<ClusterName, number | undefined>): void {
    const ids = [...clusters.values()];
    const someUnknown = ids.includes(undefined);
    this.#drop(
      ({ identity: { name, id } }) =>
        !clusters.has(name) && !ids.includes(id) && !(someUnknown && name === placeholderName(id)),
    );
  }

  /** What each cluster said of this Service itself, or else what was adopted of it. */
  of(key: ServiceKey): readonly RemoteContribution[] {
    const found: RemoteContribution[] = [];
    for (const { identity, view, services } of this.#remotes.values()) {
      const service = services.get(key);
      if (service) found.push({ cluster: identity, view, service });
    }
    for (const { identity, services } of this.#adopted) {
      const service = services.get(key);
      const heard = this.#heard(identity);
      if (service && !heard?.services.has(key)) {
        found.push({ cluster: heard?.identity ?? identity, view: { kind: 'unknown' }, service });
      }
    }
    return found;
  }

  #remote(identity: ClusterIdentity): Remote {
    const known = this.#remotes.get(identity.name);
    if (known?.identity.id === identity.id) return known;
    if (known) this.remove(known.identity);
    const remote: Remote = { identity, view: { kind: 'unknown' }, refused: new Set(), services: new Map() };
    this.#remotes.set(identity.name, remote);
    return remote;
  }

  #heard(identity: ClusterIdentity): Remote | undefined {
    return [...this.#remotes.values()].find((remote) => isSame(remote.identity, identity));
  }

  #adoptedOf(identity: ClusterIdentity): readonly Adopted[] {
    return this.#adopted.filter((adopted) => isSame(adopted.identity, identity));
  }

  /** A cluster that was heard completely has spoken about everything but what could not be read. */
  #dropSuperseded(): void {
    for (const adopted of this.#adopted) {
      const heard = this.#heard(adopted.identity);
      if (!heard || heard.view.kind === 'unknown') continue;
      for (const key of adopted.services.keys()) {
        if (heard.refused.has(key) && !heard.services.has(key)) continue;
        adopted.services.delete(key);
        this.#touched(key, 'change');
      }
    }
    this.#drop(({ services }) => services.size === 0);
  }

  #drop(which: (adopted: Adopted) => boolean): void {
    const gone = this.#adopted.filter(which);
    this.#adopted = this.#adopted.filter((adopted) => !gone.includes(adopted));
    for (const { services } of gone) this.#touchAll(services);
  }

  #touchAll(services: ReadonlyMap<ServiceKey, unknown>): void {
    for (const key of services.keys()) this.#touched(key, 'change');
  }
}

/** An earlier agent may have known it under another number, and the kernel knows numbers only. */
const isSame = (a: ClusterIdentity, b: ClusterIdentity): boolean => a.name === b.name || a.id === b.id;
