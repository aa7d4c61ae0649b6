/**
 * A restart is not a withdrawal. What the kernel still forwards to other clusters was true when the last agent wrote it;
 * until a cluster speaks for itself again, that is what is known of it, and it is handed to the table as a stale view.
 */
import type { ClusterIdentity, ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { LocalService, RemoteBackend, RemoteService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { KernelRoute } from '../datapath/datapath.ts';

export interface AdoptedCluster {
  readonly identity: ClusterIdentity;
  readonly services: ReadonlyMap<ServiceKey, RemoteService>;
}

/** The kernel knows ids, not names. */
const placeholderName = (id: number): ClusterName => `cluster-id-${id}` as ClusterName;

/** By cluster id; the local cluster and frontends of no known Service are left out. */
export function adoptedClusters(
  kernel: readonly KernelRoute[],
  services: ReadonlyMap<ServiceKey, LocalService>,
  localId: number,
): readonly AdoptedCluster[] {
  const owners = frontendOwners(services);
  const byCluster = new Map<number, Map<ServiceKey, RemoteBackend[]>>();
  for (const { frontend, backends } of kernel) {
    const owner = owners.get(`${frontend.protocol} ${frontend.address} ${frontend.port}`);
    if (!owner) continue;
    for (const { address, port, clusterId } of backends) {
      if (clusterId === localId) continue;
      const remote = byCluster.get(clusterId) ?? new Map<ServiceKey, RemoteBackend[]>();
      byCluster.set(clusterId, remote);
      const ports = [{ name: owner.portName, protocol: frontend.protocol, port }];
      remote.set(owner.key, [...(remote.get(owner.key) ?? []), { address, ports, zone: '', hostname: '' }]);
    }
  }
  return [...byCluster].map(([id, remote]) => ({
    identity: { id, name: placeholderName(id) },
    services: new Map([...remote].map(([key, backends]) => [key, adoptedService(key, backends)])),
  }));
}

function adoptedService(key: ServiceKey, backends: readonly RemoteBackend[]): RemoteService {
  const merged = new Map<string, RemoteBackend>();
  for (const backend of backends) {
    const known = merged.get(backend.address);
    merged.set(backend.address, known ? { ...known, ports: [...known.ports, ...backend.ports] } : backend);
  }
  return { key, shared: true, backends: [...merged.values()], origin: { source: 'kernel', revision: '', at: 0 } };
}

function frontendOwners(services: ReadonlyMap<ServiceKey, LocalService>) {
  const owners = new Map<string, { readonly key: ServiceKey; readonly portName: string }>();
  for (const [key, service] of services) {
    for (const port of service.ports) {
      for (const address of [...service.clusterIps, ...service.externalIps, ...service.loadBalancerIps]) {
        owners.set(`${port.protocol} ${address} ${port.port}`, { key, portName: port.name });
      }
      for (const any of ['0.0.0.0', '::']) {
        if (port.nodePort > 0) owners.set(`${port.protocol} ${any} ${port.nodePort}`, { key, portName: port.name });
      }
    }
  }
  return owners;
}
