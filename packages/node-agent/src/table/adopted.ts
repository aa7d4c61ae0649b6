/**
 * A restart is not a withdrawal. What the kernel still forwards to other clusters was true when the last agent wrote it;
 * until a cluster speaks for itself again, that is what is known of it, and it is handed to the table as a stale view.
 */
import { groupShapes } from '@tombolo/shared/merge/frontends.ts';
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { BackendPort, LocalService, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { KernelRoute } from '../datapath/datapath.ts';

export interface AdoptedCluster {
  readonly identity: ClusterIdentity;
  readonly services: ReadonlyMap<ServiceKey, RemoteService>;
}

/** The kernel knows ids, not names. */
const placeholderName = (id: number): ClusterName => `cluster-id-${id}` as ClusterName;

/** One backend of another cluster behind one port of one Service. */
interface Finding {
  readonly clusterId: number;
  readonly key: ServiceKey;
  readonly address: IpAddress;
  readonly port: BackendPort;
}

/** By cluster id; the local cluster and frontends of no known Service are left out. */
export function adoptedClusters(
  kernel: readonly KernelRoute[],
  services: ReadonlyMap<ServiceKey, LocalService>,
  localId: number,
): readonly AdoptedCluster[] {
  const found = findings(kernel, services).filter(({ clusterId }) => clusterId !== localId);
  return [...Map.groupBy(found, ({ clusterId }) => clusterId)].map(([id, ofCluster]) => ({
    identity: { id, name: placeholderName(id) },
    services: new Map(
      [...Map.groupBy(ofCluster, ({ key }) => key)].map(([key, ofService]) => [key, adoptedService(key, ofService)]),
    ),
  }));
}

function findings(kernel: readonly KernelRoute[], services: ReadonlyMap<ServiceKey, LocalService>): readonly Finding[] {
  const owners = frontendOwners(services);
  return kernel.flatMap(({ frontend: { protocol, address, port }, backends }) => {
    const owner = owners.get(frontendId({ protocol, address, port }));
    if (!owner) return [];
    return backends.map(({ clusterId, ...backend }) => ({
      clusterId,
      key: owner.key,
      address: backend.address,
      port: { name: owner.portName, protocol, port: backend.port },
    }));
  });
}

/** The same backend is found behind each frontend of its port: the cluster address, the node port and so on. */
function adoptedService(key: ServiceKey, found: readonly Finding[]): RemoteService {
  const backends = [...Map.groupBy(found, ({ address }) => address)].map(([address, here]) => ({
    address,
    ports: [...new Map(here.map(({ port }) => [`${port.name} ${port.protocol} ${port.port}`, port])).values()],
    zone: '',
  }));
  return {
    key,
    shared: true,
    terminating: false,
    frontendPorts: [],
    backends,
    origin: { source: 'kernel', revision: '', at: 0 },
  };
}

function frontendOwners(services: ReadonlyMap<ServiceKey, LocalService>) {
  const owners = new Map<string, { readonly key: ServiceKey; readonly portName: string }>();
  for (const [key, service] of services) {
    for (const { port, frontends } of groupShapes(service, new Set())) {
      for (const frontend of frontends) owners.set(frontendId(frontend), { key, portName: port.name });
    }
  }
  return owners;
}
