/**
 * What this node should say to which routers, from all that people have written about it. Pure.
 *
 * P1. Every address that should be announced from this node goes to every peer that an advertisement names for it, once.
 * P2. What contradicts itself or lacks a part silences no more than itself, and is said in a sentence.
 * P3. The order in which objects are told does not matter.
 */
import {
  type BfdProfile,
  type BgpAdvertisement,
  type BgpPeer,
  type BgpTimers,
  type CiliumAddressKind,
  type CiliumAdvertised,
  type CiliumAdvertisement,
  type CiliumClusterConfig,
  type CiliumNodeOverride,
  type CiliumPeerConfig,
  type CiliumPeeringPolicy,
  type CommunityAliases,
  isPassword,
  type PeerAsn,
  parseCommunity,
  type SecretRef,
} from '@tombolo/shared/model/bgp.ts';
import {
  type Cidr,
  familyOf,
  formatCidr,
  type IpAddress,
  type IpFamily,
  parseNetwork,
} from '@tombolo/shared/model/ip.ts';
import { isSelected, type LabelSelector, type Labels } from '@tombolo/shared/model/label-selector.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import { type ServiceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { AddressKind, ServiceAddress } from '../service-address.ts';

/** All objects, each kind in any order. */
export interface BgpResources {
  readonly peers: readonly BgpPeer[];
  readonly advertisements: readonly BgpAdvertisement[];
  readonly bfdProfiles: readonly BfdProfile[];
  readonly aliases: CommunityAliases;
  readonly policies: readonly CiliumPeeringPolicy[];
  readonly clusterConfigs: readonly CiliumClusterConfig[];
  readonly peerConfigs: ReadonlyMap<string, CiliumPeerConfig>;
  readonly ciliumAdvertisements: readonly CiliumAdvertisement[];
  readonly overrides: readonly CiliumNodeOverride[];
  /** By `secretKey`; those that are not there are missing. */
  readonly passwords: ReadonlyMap<string, string>;
}

export const secretKey = ({ namespace, name }: SecretRef): string => `${namespace}/${name}`;

export interface Route {
  readonly prefix: Cidr;
  /** Sorted. */
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
  readonly localPreference: number | undefined;
  /** How often our number stands in the path beside the one time that it must. */
  readonly prepends: number;
  /** The addresses that it stands for, and whose they are. */
  readonly addresses: ReadonlyMap<IpAddress, ReadonlySet<ServiceKey>>;
}

export interface Neighbor {
  readonly address: IpAddress;
  readonly asn: PeerAsn;
  /** Ours, where it is not the instance's. */
  readonly localAsn: number | undefined;
  readonly port: number;
  readonly sourceAddress: IpAddress | undefined;
  /** 1: the router is next to us. */
  readonly ttl: number;
  readonly timers: BgpTimers;
  readonly password: string | undefined;
  /** Seconds for which routes are to be kept; undefined: no graceful restart. */
  readonly gracefulRestartSeconds: number | undefined;
  readonly bfd: BfdProfile | undefined;
  readonly families: readonly IpFamily[];
  /** By the text of the prefix. */
  readonly routes: ReadonlyMap<string, Route>;
  /** The object that asks for it. */
  readonly of: string;
}

export interface BgpIntent {
  /** Undefined: no router is to be spoken to. */
  readonly instance:
    | {
        readonly asn: number;
        readonly routerId: string | undefined;
        readonly port: number | undefined;
        /** Routers are to take whatever other way they know (RFC 8326). */
        readonly isLastResort: boolean;
      }
    | undefined;
  /** By address. */
  readonly neighbors: readonly Neighbor[];
  readonly problems: readonly string[];
}

/** What becomes of the traffic of this node: `last resort` is where routers know no other way (RFC 8326). */
export type Stay = 'full' | 'last resort' | 'gone';

export interface BgpNode {
  readonly name: string;
  readonly labels: Labels;
}

/** One session that is asked for, before it is known whether it can be. */
interface Wanted extends Omit<Neighbor, 'localAsn' | 'password'> {
  readonly myAsn: number;
  readonly routerId: string | undefined;
  readonly listenPort: number | undefined;
  readonly password: string | SecretRef | undefined;
}

const METALLB_PEER = 'BGPPeer ';
const HOPS = 255;
const RESTART_SECONDS = 120;
/**
 * Of a cluster that has no backends of its own, where the Service wants it less preferred. Within our AS local preference says
 * it, one more than that of a node that leaves (RFC 8326); others compare the length of paths, unless they have preferences
 * of their own.
 */
const LOW = { localPreference: 1, prepends: 3 };

/** `stay`: what becomes of this node's traffic. */
export function planBgp(
  resources: BgpResources,
  node: BgpNode,
  addresses: readonly ServiceAddress[],
  stay: Stay = 'full',
): BgpIntent {
  const problems = new Set<string>();
  const say = (problem: string): void => void problems.add(problem);
  const isLastResort = stay === 'last resort';
  const announced = addresses.filter(({ obstacle, drains }) => obstacle === undefined || (drains && isLastResort));
  const wanted = [
    ...metallbSessions(resources, node, announced, say),
    ...ciliumSessions(resources, node, announced, say),
  ].sort((a, b) => compareText(a.of, b.of));
  const neighbors = new Map<IpAddress, Neighbor>();
  const [first] = wanted;
  for (const each of wanted) {
    const { myAsn, routerId, listenPort, password, ...session } = each;
    const other = neighbors.get(session.address);
    if (other) {
      say(`${each.of}: not used, since ${other.of} speaks to ${session.address} already`);
      continue;
    }
    const secret = typeof password === 'object' ? resources.passwords.get(secretKey(password)) : password;
    if (secret !== undefined && !isPassword(secret)) {
      say(`${each.of}: not used, since its password is not 1-80 printable characters without spaces`);
      continue;
    }
    if (typeof password === 'object' && secret === undefined) {
      say(`${each.of}: not used, since Secret ${secretKey(password)} has no password, or may not be read`);
      continue;
    }
    if (routerId !== undefined && first?.routerId !== undefined && routerId !== first.routerId)
      say(`${each.of}: its router id ${routerId} is not used, since ${first.of} has ${first.routerId}`);
    const localAsn = myAsn === first?.myAsn ? undefined : myAsn;
    const isInternal = each.asn === 'internal' || each.asn === myAsn;
    const routes = new Map([...each.routes].map(([key, route]) => [key, lowered(route, isInternal)]));
    neighbors.set(session.address, { ...session, routes, localAsn, password: secret });
  }
  const routerId = wanted.find((each) => each.routerId !== undefined)?.routerId;
  const port = wanted.find((each) => each.listenPort !== undefined)?.listenPort;
  return {
    instance: first && { asn: first.myAsn, routerId, port, isLastResort },
    neighbors: [...neighbors.values()].sort((a, b) => compareText(a.address, b.address)),
    problems: [...problems].sort(),
  };
}

/** By their names, where they are MetalLB's, else by their addresses; sorted. */
export function peersByService({ neighbors }: BgpIntent): ReadonlyMap<ServiceKey, readonly string[]> {
  const peers = new Map<ServiceKey, Set<string>>();
  for (const { of, address, routes } of neighbors) {
    const name = of.startsWith(METALLB_PEER) ? of.slice(METALLB_PEER.length) : address;
    for (const { addresses } of routes.values())
      for (const service of [...addresses.values()].flatMap((services) => [...services]))
        peers.set(service, (peers.get(service) ?? new Set()).add(name));
  }
  return new Map([...peers].map(([service, names]) => [service, [...names].sort(compareText)]));
}

/** What was made with `prepends`, in the words that the peer understands. */
function lowered(route: Route, isInternal: boolean): Route {
  if (route.prepends === 0) return route;
  return isInternal ? { ...route, localPreference: LOW.localPreference, prepends: 0 } : route;
}

type Say = (problem: string) => void;

function metallbSessions(
  resources: BgpResources,
  node: BgpNode,
  addresses: readonly ServiceAddress[],
  say: Say,
): readonly Wanted[] {
  const here = resources.advertisements.filter(({ nodes }) => isAnySelected(nodes, node.labels));
  const usable = here.flatMap((each) => {
    const communities = communitiesOf(each, resources.aliases, say);
    return communities ? [{ ...each, ...communities }] : [];
  });
  const names = new Set(resources.peers.map(({ name }) => name));
  for (const { name, peers } of here)
    for (const peer of peers) if (!names.has(peer)) say(`BGPAdvertisement ${name}: there is no BGPPeer ${peer}`);
  return resources.peers
    .filter(({ nodes }) => isAnySelected(nodes, node.labels))
    .map((peer): Wanted => {
      const of = `${METALLB_PEER}${peer.name}`;
      const bfd = resources.bfdProfiles.find(({ name }) => name === peer.bfdProfile);
      if (peer.bfdProfile !== undefined && !bfd)
        say(`${of}: without BFD, since there is no BFDProfile ${peer.bfdProfile}`);
      const family = familyOf(peer.address);
      const families: readonly IpFamily[] = peer.dualStack ? [4, 6] : [family];
      const routes = new Routes(of, say);
      for (const address of addresses) {
        if (address.kind !== 'LoadBalancer' || !families.includes(familyOf(address.address))) continue;
        for (const ad of usable) {
          if (ad.peers.length > 0 && !ad.peers.includes(peer.name)) continue;
          if (!isOfPools(ad, address) || !isAnySelected(ad.services, address.labels)) continue;
          routes.add(address, ad.aggregation[familyOf(address.address)], ad);
        }
      }
      return {
        ...{ of, address: peer.address, asn: peer.peerAsn, port: peer.port, sourceAddress: peer.sourceAddress },
        ...{ ttl: peer.multihop ? HOPS : 1, timers: peer.timers, password: peer.password ?? peer.passwordSecret },
        ...{ gracefulRestartSeconds: peer.gracefulRestart ? RESTART_SECONDS : undefined, bfd, families },
        ...{ routes: routes.all, myAsn: peer.myAsn, routerId: peer.routerId, listenPort: undefined },
      };
    });
}

function communitiesOf({ name, communities }: BgpAdvertisement, aliases: CommunityAliases, say: Say) {
  const found = communities.map((text) => ({ text, parsed: parseCommunity(aliases.get(text) ?? text) }));
  const unknown = found.filter(({ parsed }) => !parsed).map(({ text }) => text);
  // Without one that limits where a route goes it would go further.
  if (unknown.length > 0)
    say(`BGPAdvertisement ${name}: not used, since nothing is known of community ${unknown.join(', ')}`);
  if (unknown.length > 0) return undefined;
  const of = (kind: 'standard' | 'large') =>
    found.flatMap(({ parsed }) => (parsed?.kind === kind ? [parsed.value] : []));
  return { values: { standard: of('standard'), large: of('large') } };
}

const isOfPools = ({ pools: { names, labels } }: BgpAdvertisement, { pools }: ServiceAddress): boolean =>
  pools.some(
    (pool) =>
      pool.product === 'metallb' &&
      ((names.length === 0 && labels.length === 0) ||
        names.includes(pool.name) ||
        labels.some((selector) => isSelected(selector, pool.labels))),
  );

const isAnySelected = (selectors: readonly LabelSelector[], labels: Labels): boolean =>
  selectors.length === 0 || selectors.some((selector) => isSelected(selector, labels));

/** The older kind wins on its node; two of it silence each other, as in Cilium. */
function ciliumSessions(
  resources: BgpResources,
  node: BgpNode,
  addresses: readonly ServiceAddress[],
  say: Say,
): readonly Wanted[] {
  const policies = resources.policies.filter(({ nodes }) => isSelected(nodes, node.labels));
  const configs = resources.clusterConfigs
    .filter(({ nodes }) => isSelected(nodes, node.labels))
    .sort((a, b) => compareText(a.createdAt, b.createdAt) || compareText(a.name, b.name));
  const [policy, ...others] = policies;
  if (policy && others.length > 0) {
    const names = policies.map(({ name }) => name).sort();
    say(`CiliumBGPPeeringPolicy ${names.join(' and ')}: not used, since several select node ${node.name}`);
    return [];
  }
  if (policy) {
    for (const { name } of configs)
      say(
        `CiliumBGPClusterConfig ${name}: not used here, since CiliumBGPPeeringPolicy ${policy.name} selects this node`,
      );
    return policySessions(policy, addresses, say);
  }
  const [config, ...later] = configs;
  for (const { name } of later)
    say(`CiliumBGPClusterConfig ${name}: not used here, since ${config?.name} selects this node, too, and is older`);
  return config ? configSessions(config, resources, node, addresses, say) : [];
}

function policySessions(
  policy: CiliumPeeringPolicy,
  addresses: readonly ServiceAddress[],
  say: Say,
): readonly Wanted[] {
  return policy.routers.flatMap(({ asn, services, kinds, neighbors }) =>
    neighbors.map((neighbor): Wanted => {
      const of = `CiliumBGPPeeringPolicy ${policy.name}, neighbor ${neighbor.address}`;
      const routes = new Routes(of, say);
      const { communities, localPreference } = neighbor;
      addCilium(routes, addresses, neighbor.families, [
        { kinds, services, aggregation: {}, communities, localPreference },
      ]);
      return {
        ...{ of, address: neighbor.address, asn: neighbor.asn, port: neighbor.port, sourceAddress: undefined },
        ...{ ttl: neighbor.multihopTtl, timers: neighbor.timers, password: neighbor.passwordSecret, bfd: undefined },
        ...{ gracefulRestartSeconds: neighbor.gracefulRestartSeconds, families: neighbor.families, routes: routes.all },
        ...{ myAsn: asn, routerId: undefined, listenPort: undefined },
      };
    }),
  );
}

/** What Cilium has where no `CiliumBGPPeerConfig` is named: a session, and nothing over it. */
const PLAIN: CiliumPeerConfig = {
  ...{ port: 179, timers: {}, multihopTtl: 1 },
  families: [
    { family: 4, advertisements: undefined },
    { family: 6, advertisements: undefined },
  ],
};

function configSessions(
  config: CiliumClusterConfig,
  { peerConfigs, ciliumAdvertisements, overrides }: BgpResources,
  node: BgpNode,
  addresses: readonly ServiceAddress[],
  say: Say,
): readonly Wanted[] {
  const override = overrides.find(({ name }) => name === node.name);
  return config.instances.flatMap((instance) =>
    instance.peers.flatMap((peer): Wanted[] => {
      const of = `CiliumBGPClusterConfig ${config.name}, peer ${peer.name}`;
      const found = peer.config === undefined ? PLAIN : peerConfigs.get(peer.config);
      if (!found) {
        say(`${of}: not used, since there is no CiliumBGPPeerConfig ${peer.config}`);
        return [];
      }
      if (peer.asn === 'any') say(`${of}: only external routers are accepted, since its peerASN is not given`);
      const routes = new Routes(of, say);
      for (const { family, advertisements } of found.families) {
        const selected = ciliumAdvertisements.filter(
          ({ labels }) => advertisements !== undefined && isSelected(advertisements, labels),
        );
        addCilium(
          routes,
          addresses,
          [family],
          selected.toSorted((a, b) => compareText(a.name, b.name)).flatMap(({ advertised }) => advertised),
        );
      }
      const special = override?.instances.get(instance.name);
      return [
        {
          ...{ of, address: peer.address, asn: peer.asn === 'any' ? 'external' : peer.asn, port: found.port },
          ...{ sourceAddress: special?.localAddresses.get(peer.name), ttl: found.multihopTtl, timers: found.timers },
          ...{ password: found.passwordSecret, gracefulRestartSeconds: found.gracefulRestartSeconds, bfd: undefined },
          ...{ families: found.families.map(({ family }) => family), routes: routes.all, myAsn: instance.asn },
          ...{ routerId: special?.routerId, listenPort: special?.port ?? instance.port },
        },
      ];
    }),
  );
}

const KIND_OF: Readonly<Record<AddressKind, CiliumAddressKind>> = {
  LoadBalancer: 'LoadBalancerIP',
  ExternalIP: 'ExternalIP',
  ClusterIP: 'ClusterIP',
};

function addCilium(
  routes: Routes,
  addresses: readonly ServiceAddress[],
  families: readonly IpFamily[],
  advertised: readonly CiliumAdvertised[],
): void {
  for (const address of addresses) {
    const family = familyOf(address.address);
    if (!families.includes(family)) continue;
    const { namespace, name } = splitServiceKey(address.service);
    const pseudo = { 'io.kubernetes.service.namespace': namespace, 'io.kubernetes.service.name': name };
    for (const { kinds, services, aggregation, communities, localPreference } of advertised) {
      if (!kinds.includes(KIND_OF[address.kind]) || services === undefined) continue;
      if (isSelected(services, { ...address.labels, ...pseudo }))
        routes.add(address, aggregation[family] ?? 128, { values: communities, localPreference });
    }
  }
}

/** The routes for one peer: the same prefix from several sources is one, with all their communities. */
class Routes {
  readonly all = new Map<string, Route>();
  readonly #addresses = new Map<string, Map<IpAddress, Set<ServiceKey>>>();
  readonly #of: string;
  readonly #say: Say;

  constructor(of: string, say: Say) {
    this.#of = of;
    this.#say = say;
  }

  add(
    announced: ServiceAddress,
    length: number,
    {
      values,
      localPreference,
    }: { readonly values: CiliumAdvertised['communities']; readonly localPreference?: number | undefined },
  ): void {
    const { address, policy, service, remoteOnly } = announced;
    const most = familyOf(address) === 4 ? 32 : 128;
    // Under policy Local a node has the traffic of some addresses of a prefix and not of others.
    const parsed = parseNetwork(`${address}/${policy === 'Local' ? most : Math.min(length, most)}`);
    if (!parsed.ok) return;
    const key = formatCidr(parsed.value);
    const other = this.all.get(key);
    const [a, b] = [other?.localPreference, localPreference];
    if (other && a !== b)
      this.#say(`${this.#of}: local preferences for ${key} (${service}) differ; the highest is used`);
    const highest = a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
    this.all.set(key, {
      prefix: parsed.value,
      communities: united(other?.communities ?? [], values.standard),
      largeCommunities: united(other?.largeCommunities ?? [], values.large),
      localPreference: highest,
      // One that is fully there makes up for all that share its prefix.
      prepends: remoteOnly === 'lower-preference' && other?.prepends !== 0 ? LOW.prepends : 0,
      addresses: this.#standsFor(key, announced),
    });
  }

  #standsFor(key: string, { address, service }: ServiceAddress): Route['addresses'] {
    const addresses = this.#addresses.get(key) ?? new Map<IpAddress, Set<ServiceKey>>();
    addresses.set(address, (addresses.get(address) ?? new Set<ServiceKey>()).add(service));
    this.#addresses.set(key, addresses);
    return addresses;
  }
}

const united = (a: readonly string[], b: readonly string[]): readonly string[] =>
  [...new Set([...a, ...b])].sort(compareCommunities);

/** By number, part by part. */
export function compareCommunities(a: string, b: string): number {
  const [x, y] = [a.split(':').map(Number), b.split(':').map(Number)];
  const at = x.findIndex((part, i) => part !== y[i]);
  return at < 0 ? 0 : (x[at] ?? 0) - (y[at] ?? 0);
}
