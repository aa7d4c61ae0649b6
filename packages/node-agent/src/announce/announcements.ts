/** What is announced, in one picture for whoever asks. Pure. */
import { formatCidr, type IpAddress } from '@tombolo/shared/model/ip.ts';
import { compareText } from '@tombolo/shared/model/order.ts';
import type { PeerState } from './bgp/engine.ts';
import type { BgpIntent } from './bgp/plan.ts';
import type { AddressStatus } from './l2/layer2.ts';
import type { Member } from './l2/membership.ts';
import type { ServiceAddress } from './service-address.ts';

export interface AnnouncedAddress {
  readonly address: string;
  readonly services: readonly string[];
  readonly kind: string;
  readonly obstacle: string;
  /** Other clusters announce it, too. */
  readonly anycast: boolean;
  /** Other clusters alone have backends: what is done then; empty: this one has some. */
  readonly remoteOnly: string;
  readonly layer2: AddressStatus | undefined;
  readonly bgp: readonly {
    readonly peer: string;
    readonly prefix: string;
    readonly communities: readonly string[];
    readonly localPreference: number | undefined;
    readonly prepends: number;
  }[];
}

export interface Announcers {
  readonly speakers: readonly (Member & { readonly node: string })[];
  readonly peers: readonly {
    readonly address: string;
    readonly asn: string;
    readonly source: string;
    readonly state: string;
    readonly upMs: number;
    readonly prefixes: number;
    /** What is wrong with it; empty where nothing is known to be. */
    readonly trouble: string;
  }[];
  readonly problems: readonly string[];
}

/** By address. */
export function announcedAddresses(
  addresses: Iterable<readonly ServiceAddress[]>,
  layer2: readonly AddressStatus[],
  { neighbors }: BgpIntent,
): readonly AnnouncedAddress[] {
  const byAddress = new Map(layer2.map((status) => [status.address, status]));
  const told = neighbors.map(routesByAddress);
  const groups = Map.groupBy([...addresses].flat(), ({ address }) => address);
  return [...groups]
    .flatMap(([address, sharing]): AnnouncedAddress[] => {
      const [first] = sharing;
      const bgp = told.flatMap((routes) => routes.get(address) ?? []);
      const isToldOf = first !== undefined && (first.kind !== 'ClusterIP' || bgp.length > 0);
      if (!isToldOf) return [];
      const services = sharing.map(({ service }) => service).sort();
      const obstacle = sharing.some((each) => each.obstacle === undefined) ? '' : (first.obstacle ?? '');
      const remoteOnly = sharing.every((each) => each.remoteOnly) ? (first.remoteOnly ?? '') : '';
      const anycast = sharing.some((each) => each.anycast);
      const about = { address, services, kind: first.kind, obstacle, anycast, remoteOnly };
      return [{ ...about, layer2: byAddress.get(address), bgp }];
    })
    .sort((a, b) => compareText(a.address, b.address));
}

/** What goes to a router, by what it stands for: an address by itself, or within a prefix. */
function routesByAddress({ address: peer, routes }: BgpIntent['neighbors'][0]) {
  const all = [...routes.values()].flatMap(({ prefix, addresses, ...about }) => {
    const { communities, largeCommunities, localPreference, prepends } = about;
    const all = [...communities, ...largeCommunities];
    const route = { prefix: formatCidr(prefix), communities: all, localPreference, prepends };
    return [...addresses.keys()].map((address) => ({ address, peer, ...route }));
  });
  return Map.groupBy(all, ({ address }) => address);
}

const STATES = ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established'];

export function announcers(
  members: ReadonlyMap<string, Member>,
  bgp: {
    readonly intent: BgpIntent;
    readonly states: readonly PeerState[];
    troubleWith(router: IpAddress): string;
  },
  problems: readonly string[],
): Announcers {
  const { intent, states } = bgp;
  const { neighbors, problems: bgpProblems } = intent;
  return {
    speakers: [...members].map(([node, member]) => ({ node, ...member })).sort((a, b) => compareText(a.node, b.node)),
    peers: neighbors.map(({ address, asn, of, routes }) => {
      const [best] = states
        .filter((each) => each.address === address)
        .sort((a, b) => STATES.indexOf(b.state) - STATES.indexOf(a.state));
      return {
        address,
        asn: `${asn}`,
        source: of,
        state: best?.state ?? '',
        upMs: best?.upMs ?? 0,
        prefixes: routes.size,
        trouble: bgp.troubleWith(address),
      };
    }),
    problems: [...problems, ...bgpProblems],
  };
}
