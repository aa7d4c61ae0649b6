/**
 * A restart is not a withdrawal. What the kernel still forwards to other clusters was true when the last agent wrote it;
 * until a cluster speaks for itself again, that is what is known of it, and what it said beyond that, which the last
 * agent saved. It counts only for the Service that it was for: another one that has its address now gets nothing of it.
 */
import { groupShapes } from '@tombolo/shared/merge/frontends.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import type {
  BackendPort,
  LocalService,
  RemoteBackend,
  RemoteService,
  ServiceKey,
} from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { SavedRemote, SavedState } from './saved-state.ts';

export interface AdoptedCluster {
  readonly identity: ClusterIdentity;
  readonly services: ReadonlyMap<ServiceKey, RemoteService>;
}

/** The kernel knows ids, not names. */
export const placeholderName = (id: number): ClusterName => `cluster-id-${id}` as ClusterName;

/** One backend of another cluster behind one port of one Service. */
interface Finding {
  readonly clusterId: number;
  readonly key: ServiceKey;
  readonly address: IpAddress;
  readonly port: BackendPort;
}

/** Whether the kernel still serves whatever of other clusters was in use when it was saved. */
export function servesSaved(kernel: readonly FrontendRoute[], saved: SavedState | undefined): boolean {
  const routes = new Map(kernel.map((route) => [frontendId(route.frontend), route]));
  return [...(saved?.services.values() ?? [])].every(({ frontends, remotes }) => {
    const used = new Set(remotes.flatMap((remote) => [...remote.used]));
    for (const id of frontends.keys()) for (const { address } of routes.get(id)?.backends ?? []) used.delete(address);
    return used.size === 0;
  });
}

/** By cluster; the local one and frontends of no known Service are left out. `saved` is undefined when it was lost. */
export function adoptedClusters(
  kernel: readonly FrontendRoute[],
  services: ReadonlyMap<ServiceKey, LocalService>,
  localId: number,
  saved: SavedState | undefined,
): readonly AdoptedCluster[] {
  const found = findings(kernel, services, saved).filter(
    ({ clusterId }) => clusterId !== localId && clusterId !== saved?.ownId,
  );
  const inUse = new Set(found.map(({ key }) => key));
  const byPlace = Map.groupBy(found, ({ key, clusterId }) => `${key} ${clusterId}`);
  const names = new Map([...(saved?.clusters ?? [])].map(([name, id]) => [id, name]));
  const adopted = new Map<
    number,
    { readonly identity: ClusterIdentity; readonly services: Map<ServiceKey, RemoteService> }
  >();
  const add = (identity: ClusterIdentity, service: RemoteService): void => {
    const cluster = adopted.get(identity.id) ?? { identity, services: new Map() };
    adopted.set(identity.id, cluster);
    cluster.services.set(service.key, service);
  };
  for (const [key, { uid, remotes }] of saved?.services ?? []) {
    const service = services.get(key);
    if (service?.uid !== uid) continue;
    const isStandby = service.affinity === 'local' && !inUse.has(key);
    for (const remote of remotes) {
      const place = `${key} ${remote.cluster.id}`;
      const said = isStandby ? remote.service : joined(remote, byPlace.get(place) ?? []);
      if (said.backends.length > 0) add(remote.cluster, said);
      byPlace.delete(place);
    }
  }
  for (const [first, ...rest] of byPlace.values()) {
    if (first === undefined) continue;
    const { key, clusterId: id } = first;
    add({ id, name: names.get(id) ?? placeholderName(id) }, serviceOf(key, backendsOf([first, ...rest])));
  }
  return [...adopted.values()];
}

/**
 * What the cluster said last, without what the kernel was told since to leave out, and with what it was given since. Not
 * for what affinity may have left out, with all that other clusters have.
 */
function joined({ service, used }: SavedRemote, found: readonly Finding[]): RemoteService {
  const inKernel = new Map(backendsOf(found).map((backend) => [backend.address, backend]));
  const kept = service.backends.filter(({ address }) => !used.has(address) || inKernel.has(address));
  for (const { address } of kept) inKernel.delete(address);
  return { ...service, backends: [...kept, ...inKernel.values()] };
}

function findings(
  kernel: readonly FrontendRoute[],
  services: ReadonlyMap<ServiceKey, LocalService>,
  saved: SavedState | undefined,
): readonly Finding[] {
  const owners = frontendOwners(services, saved);
  return kernel.flatMap(({ frontend, backends }) => {
    const owner = owners.get(frontendId(frontend));
    if (!owner) return [];
    return backends.map(({ clusterId, address, port }) => ({
      clusterId,
      key: owner.key,
      address,
      port: { name: owner.portName, protocol: frontend.protocol, port },
    }));
  });
}

/** The same backend is found behind each frontend of its port: the cluster address, the node port and so on. */
const backendsOf = (found: readonly Finding[]): readonly RemoteBackend[] =>
  [...Map.groupBy(found, ({ address }) => address)].map(([address, here]) => ({
    address,
    ports: [...new Map(here.map(({ port }) => [`${port.name} ${port.protocol} ${port.port}`, port])).values()],
    zone: '',
  }));

const serviceOf = (key: ServiceKey, backends: readonly RemoteBackend[]): RemoteService => ({
  key,
  shared: true,
  terminating: false,
  frontendPorts: [],
  backends,
  origin: { source: 'kernel', revision: '', at: 0 },
});

/** Which Service a frontend was programmed for, if that Service is still there; where nothing was saved, whose it is now. */
function frontendOwners(services: ReadonlyMap<ServiceKey, LocalService>, saved: SavedState | undefined) {
  const owners = new Map<string, { readonly key: ServiceKey; readonly portName: string }>();
  for (const [key, service] of services) {
    const before = saved?.services.get(key);
    if (before && before.uid !== service.uid) continue;
    for (const { port, frontends } of groupShapes(service, new Set())) {
      for (const frontend of frontends) owners.set(frontendId(frontend), { key, portName: port.name });
    }
  }
  for (const [key, { uid, frontends }] of saved?.services ?? []) {
    for (const [id, portName] of frontends) {
      if (services.get(key)?.uid === uid) owners.set(id, { key, portName });
      else owners.delete(id);
    }
  }
  return owners;
}
