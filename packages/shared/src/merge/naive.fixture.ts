/**
 * The oracle: which `address port` serve a frontend, worked out from Kubernetes' rules (EndpointSlice API, kube-proxy's
 * handling of traffic policies, terminating endpoints and hints) and from what the mesh adds to them, one after the other,
 * without a thought for speed, order or explanation.
 */
import { cidr, cidrContains, familyOf, forbiddenAsRemote, type IpAddress } from '../model/ip.ts';
import type { LocalService, ServicePort, TrafficPolicy } from '../model/service.ts';
import type { Clients, Frontend } from '../model/service-table.ts';
import { EAST, REMOTES, type World } from './world.fixture.ts';

interface Place {
  readonly address: IpAddress;
  readonly port: number;
  /** 0 for the local cluster. */
  readonly cluster: number;
  readonly ready: boolean;
  /** Terminating, and still serving. */
  readonly draining: boolean;
  readonly node: string;
  /** Of other clusters' alone. */
  readonly zone?: string;
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** Sorted, as text. Undefined: this node does not serve it. `clients`: whom it is to serve. */
export function naiveBackends(world: World, frontend: Frontend, clients: Clients): readonly string[] | undefined {
  const { service } = world;
  if (!service) return undefined;
  const inMesh = service.global && world.takesPart;
  if (world.here.scope === 'global' && !inMesh) return undefined;
  const port = portBehind(service, frontend);
  if (!port) return undefined;
  const all = [...localPlaces(world, service, port), ...(inMesh ? remotePlaces(world, port) : [])];
  const ofFamily = all.filter(({ address }) => familyOf(address) === familyOf(frontend.address));
  const usable = choose(withoutTwins(ofFamily), service, policyFor(service, frontend, clients), world, inMesh);
  return usable.map(({ address, port: number }) => `${address} ${number}`).sort();
}

function portBehind(service: LocalService, { kind, port, protocol }: Frontend): ServicePort | undefined {
  return service.ports.find(
    (each) => (kind === 'NodePort' ? each.nodePort : each.port) === port && each.protocol === protocol,
  );
}

const isMapped = (address: IpAddress): boolean => /^::ffff:\d+\.\d+\.\d+\.\d+$/.test(address);

/** kube-proxy: of every slice of the family, the port of this name; two words about one place: the better one. */
function localPlaces({ slices, here }: World, service: LocalService, port: ServicePort): readonly Place[] {
  const places = new Map<string, Place>();
  for (const slice of [...slices].sort((a, b) => (a.key < b.key ? -1 : 1))) {
    if (slice.headless && service.clusterIps.length > 0) continue;
    for (const { ports, address, ready, serving, terminating, node, zoneHints, nodeHints } of slice.endpoints) {
      for (const { name, protocol, port: number } of ports) {
        if (name !== port.name || protocol !== port.protocol || isMapped(address)) continue;
        const draining = !ready && serving && terminating;
        const place = { address, port: number, cluster: 0, ready, draining, node, zoneHints, nodeHints, serving };
        const worth = (it: Place & { serving?: boolean }) =>
          (it.ready ? 4 : 0) + (it.serving ? 2 : 0) + (it.node === here.node ? 1 : 0);
        const known = places.get(`${address} ${number}`);
        if (!known || worth(place) > worth(known)) places.set(`${address} ${number}`, place);
      }
    }
  }
  return [...places.values()];
}

function remotePlaces({ remotes, ownRange }: World, port: ServicePort): readonly Place[] {
  return remotes.flatMap(({ cluster, service }) => {
    if (!service.shared) return [];
    // Where exactly one side has no name, the number decides under which the other cluster reaches its Service.
    const meets = (name: string): boolean =>
      name === port.name ||
      ((name === '') !== (port.name === '') &&
        service.frontendPorts.some(
          (there) => there.name === name && there.protocol === port.protocol && there.port === port.port,
        ));
    const allowed = (address: IpAddress): boolean =>
      !isMapped(address) &&
      forbiddenAsRemote(address) === undefined &&
      !(ownRange !== undefined && cidrContains(cidr(ownRange), address));
    return service.backends
      .filter(({ address }) => allowed(address))
      .flatMap(({ address, ports, zone }) => {
        const numbers = ports.filter((each) => each.protocol === port.protocol && meets(each.name));
        return [...new Set(numbers.map((each) => each.port))].map((number) => ({
          address,
          port: number,
          cluster: cluster.id,
          ready: !service.terminating,
          draining: service.terminating,
          node: '',
          zone,
          zoneHints: [],
          nodeHints: [],
        }));
      });
  });
}

/** One place belongs to one cluster: to this one if it is here at all, else to the lowest id. */
const withoutTwins = (places: readonly Place[]): readonly Place[] =>
  places.filter(
    (place) =>
      !places.some(
        (other) => other.address === place.address && other.port === place.port && other.cluster < place.cluster,
      ),
  );

/** kube-proxy: to addresses for the outside, clients inside the cluster have the choice of policy Cluster always. */
function policyFor(service: LocalService, { kind }: Frontend, clients: Clients): TrafficPolicy {
  if (kind === 'ClusterIP') return service.internalTrafficPolicy;
  return clients === 'inside' ? 'Cluster' : service.externalTrafficPolicy;
}

function choose(
  places: readonly Place[],
  service: LocalService,
  policy: TrafficPolicy,
  { here, remotePerFrontend }: World,
  inMesh: boolean,
): readonly Place[] {
  const reachable = policy === 'Local' ? places.filter(({ node }) => node === here.node) : places;
  const local = reachable.filter(({ cluster }) => cluster === 0);
  const remote = reachable.filter(({ cluster }) => cluster !== 0);
  const anyReady = (some: readonly Place[]): boolean => some.some(({ ready }) => ready);
  const affinity = inMesh ? service.affinity : 'none';
  let pool = reachable;
  if (affinity === 'local' && anyReady(local)) pool = local;
  if (affinity === 'remote' && anyReady(remote)) pool = remote;
  let chosen: readonly Place[] = pool.filter(({ ready }) => ready);
  if (chosen.length === 0) chosen = pool.filter(({ draining }) => draining);
  else if (policy === 'Cluster') chosen = hinted(chosen, here, service.staysClose);
  if (inMesh && service.clusterWeights) chosen = weighed(chosen, service.clusterWeights);
  return inQuota(chosen, remotePerFrontend);
}

/**
 * kube-proxy's topologyModeFromHints, over the ready endpoints of this cluster. With a trafficDistribution what other
 * clusters have counts as well: as close as this zone, or not close.
 */
function hinted(ready: readonly Place[], { node, zone }: World['here'], staysClose: boolean): readonly Place[] {
  const local = ready.filter(({ cluster }) => cluster === 0);
  const remote = ready.filter(({ cluster }) => cluster !== 0);
  const withHints = (hints: 'nodeHints' | 'zoneHints', name: string): readonly Place[] =>
    local.every((it) => it[hints].length > 0) ? local.filter((it) => it[hints].includes(name)) : [];
  const onNode = withHints('nodeHints', node);
  if (onNode.length > 0) return staysClose ? onNode : [...onNode, ...remote];
  const inZone = withHints('zoneHints', zone);
  if (!staysClose) return inZone.length > 0 ? [...inZone, ...remote] : ready;
  if (local.some((it) => it.zoneHints.length === 0)) return ready;
  const close = [...inZone, ...remote.filter((it) => it.zone !== '' && it.zone === zone)];
  return close.length > 0 ? close : ready;
}

/** Who is not named counts as 0, and 0 only where there is nothing else. */
function weighed(places: readonly Place[], weights: ReadonlyMap<string, number>): readonly Place[] {
  const names = new Map([[0, EAST.name], ...REMOTES.map(({ id, name }): [number, string] => [id, name])]);
  const some = places.filter(({ cluster }) => (weights.get(names.get(cluster) ?? '') ?? 0) > 0);
  return some.length > 0 ? some : places;
}

function inQuota(places: readonly Place[], limit: number): readonly Place[] {
  const earlier = (a: Place, b: Place): boolean =>
    a.cluster === b.cluster && (a.address < b.address || (a.address === b.address && a.port < b.port));
  return places.filter((it) => it.cluster === 0 || places.filter((other) => earlier(other, it)).length < limit);
}
