/**
 * What people say about BGP, in the kinds of MetalLB (`BGPPeer`, `BGPAdvertisement`, `BFDProfile`, `Community`) and of Cilium
 * (`CiliumBGPPeeringPolicy`, and `CiliumBGPClusterConfig`, `…PeerConfig`, `…Advertisement`, `…NodeConfigOverride`). Each as it
 * was written, with its defaults filled in; what follows for a node is decided where it is announced.
 */
import type { IpAddress, IpFamily } from './ip.ts';
import type { PoolChoice } from './l2-advertisement.ts';
import type { LabelSelector } from './label-selector.ts';

/** As routers write them: `65000:100`, `large:1:2:3` is `1:2:3` here. */
export interface Communities {
  readonly standard: readonly string[];
  readonly large: readonly string[];
}

export interface BgpTimers {
  readonly holdSeconds?: number | undefined;
  readonly keepaliveSeconds?: number | undefined;
  readonly connectSeconds?: number | undefined;
}

export interface SecretRef {
  readonly namespace: string;
  readonly name: string;
}

/** `any`: whichever it says. */
export type PeerAsn = number | 'external' | 'internal' | 'any';

/** MetalLB's. */
export interface BgpPeer {
  readonly name: string;
  readonly nodes: readonly LabelSelector[];
  readonly myAsn: number;
  readonly peerAsn: PeerAsn;
  readonly address: IpAddress;
  readonly port: number;
  readonly sourceAddress?: IpAddress | undefined;
  readonly routerId?: string | undefined;
  readonly timers: BgpTimers;
  readonly password?: string | undefined;
  readonly passwordSecret?: SecretRef | undefined;
  readonly bfdProfile?: string | undefined;
  readonly gracefulRestart: boolean;
  readonly multihop: boolean;
  /** Both families over this session; else that of the address alone. */
  readonly dualStack: boolean;
}

export interface BgpAdvertisement {
  readonly name: string;
  readonly pools: PoolChoice;
  readonly services: readonly LabelSelector[];
  readonly nodes: readonly LabelSelector[];
  /** Names; none: every peer. */
  readonly peers: readonly string[];
  readonly aggregation: Readonly<Record<IpFamily, number>>;
  readonly localPreference?: number | undefined;
  /** Values, or names of `CommunityAliases`. */
  readonly communities: readonly string[];
}

export interface BfdProfile {
  readonly name: string;
  /** Milliseconds; undefined: the engine's own. */
  readonly receiveMs?: number | undefined;
  readonly transmitMs?: number | undefined;
  readonly detectMultiplier?: number | undefined;
  readonly minimumTtl?: number | undefined;
  readonly echoMs?: number | undefined;
  readonly passive: boolean;
  readonly echo: boolean;
}

export type CommunityAliases = ReadonlyMap<string, string>;

export type CiliumAddressKind = 'LoadBalancerIP' | 'ExternalIP' | 'ClusterIP';

/** What Cilium announces to a peer in a family, and how. */
export interface CiliumAdvertised {
  readonly kinds: readonly CiliumAddressKind[];
  /** Undefined: nothing. */
  readonly services: LabelSelector | undefined;
  readonly aggregation: Readonly<Partial<Record<IpFamily, number>>>;
  readonly localPreference?: number | undefined;
  readonly communities: Communities;
}

export interface CiliumAdvertisement {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly advertised: readonly CiliumAdvertised[];
}

export interface CiliumPeerConfig {
  readonly port: number;
  readonly timers: BgpTimers;
  readonly passwordSecret?: SecretRef | undefined;
  readonly gracefulRestartSeconds?: number | undefined;
  readonly multihopTtl: number;
  /** Undefined `advertisements`: none. */
  readonly families: readonly { readonly family: IpFamily; readonly advertisements: LabelSelector | undefined }[];
}

export interface CiliumInstance {
  readonly name: string;
  readonly asn: number;
  readonly port: number | undefined;
  readonly peers: readonly {
    readonly name: string;
    readonly address: IpAddress;
    readonly asn: PeerAsn;
    /** Of a `CiliumPeerConfig`; undefined: all by default, which announces nothing. */
    readonly config: string | undefined;
  }[];
}

export interface CiliumClusterConfig {
  readonly name: string;
  readonly createdAt: string;
  readonly nodes: LabelSelector;
  readonly instances: readonly CiliumInstance[];
}

export interface CiliumNodeOverride {
  readonly name: string;
  readonly instances: ReadonlyMap<
    string,
    {
      readonly routerId?: string | undefined;
      readonly port?: number | undefined;
      readonly localAddresses: ReadonlyMap<string, IpAddress>;
    }
  >;
}

/** The older kind, all in one. */
export interface CiliumPeeringPolicy {
  readonly name: string;
  readonly nodes: LabelSelector;
  readonly routers: readonly {
    readonly asn: number;
    readonly services: LabelSelector | undefined;
    readonly kinds: readonly CiliumAddressKind[];
    readonly neighbors: readonly {
      readonly address: IpAddress;
      readonly asn: number;
      readonly port: number;
      readonly timers: BgpTimers;
      readonly passwordSecret?: SecretRef | undefined;
      readonly gracefulRestartSeconds?: number | undefined;
      readonly multihopTtl: number;
      readonly families: readonly IpFamily[];
      readonly communities: Communities;
      readonly localPreference?: number | undefined;
    }[];
  }[];
}

/** Of TCP (RFC 2385), as routers take them on a line: 80 bytes at the most. */
export const isPassword = (text: string): boolean => /^[\x21-\x7e]{1,80}$/.test(text);

/** RFC 1997, 7999, 8326 and 3765, by the names that Cilium and routers have for them. */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  internet: '0:0',
  'planned-shut': '65535:0',
  'accept-own': '65535:1',
  'llgr-stale': '65535:6',
  'no-llgr': '65535:7',
  blackhole: '65535:666',
  'no-export': '65535:65281',
  'no-advertise': '65535:65282',
  'no-export-subconfed': '65535:65283',
  'no-peer': '65535:65284',
};

/** What a text stands for: `65000:1`, `large:1:2:3`, or a well-known name; undefined: for nothing. */
export function parseCommunity(
  text: string,
): { readonly kind: 'standard' | 'large'; readonly value: string } | undefined {
  const known = WELL_KNOWN[text];
  if (known !== undefined) return { kind: 'standard', value: known };
  const large = /^large:(\d+):(\d+):(\d+)$/.exec(text);
  if (large?.slice(1).every((part) => Number(part) <= 0xffff_ffff))
    return { kind: 'large', value: large.slice(1).map(Number).join(':') };
  const standard = /^(\d+):(\d+)$/.exec(text);
  if (standard?.slice(1).every((part) => Number(part) <= 0xffff))
    return { kind: 'standard', value: standard.slice(1).map(Number).join(':') };
  return undefined;
}
