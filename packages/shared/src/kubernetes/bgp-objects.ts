/**
 * MetalLB's and Cilium's kinds for BGP. What cannot be read refuses its object and nothing else: half a peer is a session
 * with somebody else.
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
  type Communities,
  type CommunityAliases,
  isPassword,
  type PeerAsn,
  parseCommunity,
  type SecretRef,
} from '../model/bgp.ts';
import { familyOf, type IpAddress, type IpFamily, parseIp } from '../model/ip.ts';
import { converter, type Fields, malformed } from './fields.ts';
import { labelSelectorOf } from './label-selector-object.ts';

const BGP_PORT = 179;
const MOST_ASN = 0xffff_ffff;

export const convertBgpPeer = converter<BgpPeer>((object) => {
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const secret = spec.object('passwordSecret').text('name');
  const dynamic = spec.text('dynamicASN');
  if (dynamic !== '' && dynamic !== 'internal' && dynamic !== 'external')
    throw malformed('spec.dynamicASN', 'internal or external', dynamic);
  if (spec.text('vrf') !== '') throw malformed('spec.vrf', 'absent, since VRFs are not supported', spec.text('vrf'));
  if (spec.text('interface') !== '')
    throw malformed('spec.interface', 'absent, since unnumbered peers are not supported', spec.text('interface'));
  return {
    name: metadata.text('name'),
    nodes: spec.objects('nodeSelectors').map(labelSelectorOf),
    myAsn: number(spec, 'myASN', 1, MOST_ASN),
    peerAsn: dynamic === '' ? number(spec, 'peerASN', 1, MOST_ASN) : dynamic,
    address: address(spec, 'peerAddress'),
    port: number(spec, 'peerPort', 1, 65_535, BGP_PORT),
    sourceAddress: spec.text('sourceAddress') === '' ? undefined : address(spec, 'sourceAddress'),
    routerId: routerId(spec),
    timers: {
      holdSeconds: duration(spec, 'holdTime'),
      keepaliveSeconds: duration(spec, 'keepaliveTime'),
      connectSeconds: duration(spec, 'connectTime'),
    },
    password: passwordIn(spec),
    passwordSecret: secret === '' ? undefined : { namespace: metadata.text('namespace'), name: secret },
    bfdProfile: spec.text('bfdProfile') || undefined,
    gracefulRestart: spec.flag('enableGracefulRestart', false),
    multihop: spec.flag('ebgpMultiHop', false),
    dualStack: spec.flag('dualStackAddressFamily', false),
  };
});

export const convertBgpAdvertisement = converter<BgpAdvertisement>((object) => {
  const spec = object.object('spec');
  return {
    name: object.object('metadata').text('name'),
    pools: {
      names: texts(spec, 'ipAddressPools'),
      labels: spec.objects('ipAddressPoolSelectors').map(labelSelectorOf),
    },
    services: spec.objects('serviceSelectors').map(labelSelectorOf),
    nodes: spec.objects('nodeSelectors').map(labelSelectorOf),
    peers: texts(spec, 'peers'),
    aggregation: {
      4: number(spec, 'aggregationLength', 1, 32, 32),
      6: number(spec, 'aggregationLengthV6', 1, 128, 128),
    },
    localPreference: spec.json['localPref'] == null ? undefined : number(spec, 'localPref', 0, MOST_ASN),
    communities: texts(spec, 'communities'),
  };
});

export const convertBfdProfile = converter<BfdProfile>((object) => {
  const spec = object.object('spec');
  const optional = (name: string, least: number, most: number): number | undefined =>
    spec.json[name] == null ? undefined : number(spec, name, least, most);
  return {
    name: object.object('metadata').text('name'),
    receiveMs: optional('receiveInterval', 10, 60_000),
    transmitMs: optional('transmitInterval', 10, 60_000),
    detectMultiplier: optional('detectMultiplier', 2, 255),
    minimumTtl: optional('minimumTtl', 1, 254),
    echoMs: optional('echoInterval', 10, 60_000),
    passive: spec.flag('passiveMode', false),
    echo: spec.flag('echoMode', false),
  };
});

export const convertCommunity = converter<CommunityAliases>(
  (object) =>
    new Map(
      object
        .object('spec')
        .objects('communities')
        .map((each) => [each.text('name'), each.text('value')]),
    ),
);

export const convertCiliumAdvertisement = converter<CiliumAdvertisement>((object, warn) => {
  const metadata = object.object('metadata');
  return {
    name: metadata.text('name'),
    labels: metadata.texts('labels'),
    advertised: object
      .object('spec')
      .objects('advertisements')
      .flatMap((each): CiliumAdvertised[] => {
        if (each.text('advertisementType') !== 'Service') {
          warn(`${each.path} left out: only advertisementType Service is announced here`);
          return [];
        }
        const service = each.object('service');
        const attributes = each.object('attributes');
        const length = (name: string, most: number): number | undefined =>
          service.json[name] == null ? undefined : number(service, name, 0, most);
        return [
          {
            kinds: kindsOf(service, 'addresses'),
            services: selectorIn(each, 'selector'),
            aggregation: definedOnly({
              4: length('aggregationLengthIPv4', 31),
              6: length('aggregationLengthIPv6', 127),
            }),
            ...attributesOf(attributes),
          },
        ];
      }),
  };
});

export const convertCiliumPeerConfig = converter<CiliumPeerConfig & { readonly name: string }>((object) => {
  const spec = object.object('spec');
  const secret = spec.text('authSecretRef');
  const families = spec.json['families'] == null ? undefined : spec.objects('families');
  return {
    name: object.object('metadata').text('name'),
    port: number(spec.object('transport'), 'peerPort', 1, 65_535, BGP_PORT),
    timers: ciliumTimers(spec.object('timers')),
    passwordSecret: ciliumSecret(secret),
    gracefulRestartSeconds: gracefulRestart(spec),
    multihopTtl: number(spec, 'ebgpMultihop', 1, 255, 1),
    families: families?.flatMap((each) => {
      const family = familyNamed(each);
      return family === undefined ? [] : [{ family, advertisements: selectorIn(each, 'advertisements') }];
    }) ?? [
      { family: 4 as const, advertisements: undefined },
      { family: 6 as const, advertisements: undefined },
    ],
  };
});

export const convertCiliumClusterConfig = converter<CiliumClusterConfig>((object, warn) => {
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  return {
    name: metadata.text('name'),
    createdAt: metadata.text('creationTimestamp'),
    nodes: spec.json['nodeSelector'] == null ? [] : labelSelectorOf(spec.object('nodeSelector')),
    instances: spec.objects('bgpInstances').map((instance) => ({
      name: instance.text('name'),
      asn: number(instance, 'localASN', 1, MOST_ASN),
      port: instance.json['localPort'] == null ? undefined : number(instance, 'localPort', 1, 65_535),
      peers: instance.objects('peers').flatMap((peer) => {
        if (peer.text('peerAddress') === '') {
          warn(`${peer.path} left out: a peer without an address is not supported`);
          return [];
        }
        const asn = peer.json['peerASN'] == null ? 0 : number(peer, 'peerASN', 0, MOST_ASN);
        return [
          {
            name: peer.text('name'),
            address: address(peer, 'peerAddress'),
            asn: (asn === 0 ? 'any' : asn) satisfies PeerAsn,
            config: peer.object('peerConfigRef').text('name') || undefined,
          },
        ];
      }),
    })),
  };
});

export const convertCiliumNodeOverride = converter<CiliumNodeOverride>((object) => ({
  name: object.object('metadata').text('name'),
  instances: new Map(
    object
      .object('spec')
      .objects('bgpInstances')
      .map((instance) => [
        instance.text('name'),
        {
          routerId: routerId(instance),
          port: instance.json['localPort'] == null ? undefined : number(instance, 'localPort', 1, 65_535),
          localAddresses: new Map(
            instance
              .objects('peers')
              .filter((peer) => peer.text('localAddress') !== '')
              .map((peer) => [peer.text('name'), address(peer, 'localAddress')]),
          ),
        },
      ]),
  ),
}));

export const convertCiliumPeeringPolicy = converter<CiliumPeeringPolicy>((object) => {
  const spec = object.object('spec');
  return {
    name: object.object('metadata').text('name'),
    nodes: spec.json['nodeSelector'] == null ? [] : labelSelectorOf(spec.object('nodeSelector')),
    routers: spec.objects('virtualRouters').map((router) => ({
      asn: number(router, 'localASN', 1, MOST_ASN),
      services: selectorIn(router, 'serviceSelector'),
      kinds:
        router.json['serviceAdvertisements'] == null ? ['LoadBalancerIP'] : kindsOf(router, 'serviceAdvertisements'),
      neighbors: router.objects('neighbors').map((neighbor) => {
        const [text = ''] = neighbor.text('peerAddress').split('/');
        const parsed = parseIp(text);
        if (!parsed.ok) throw malformed(neighbor.pathOf('peerAddress'), 'an address such as 192.0.2.1/32', text);
        // Of Services only those without more selectors in it are meant: the rest of them is for pods' addresses.
        const attributes = neighbor
          .objects('advertisedPathAttributes')
          .find((each) => each.text('selectorType') === 'CiliumLoadBalancerIPPool' && each.json['selector'] == null);
        const families = neighbor.objects('families').flatMap((each) => familyNamed(each) ?? []);
        return {
          address: parsed.value,
          asn: number(neighbor, 'peerASN', 1, MOST_ASN),
          port: number(neighbor, 'peerPort', 1, 65_535, BGP_PORT),
          timers: ciliumTimers(neighbor),
          passwordSecret: ciliumSecret(neighbor.text('authSecretRef')),
          gracefulRestartSeconds: gracefulRestart(neighbor),
          multihopTtl: number(neighbor, 'eBGPMultihopTTL', 1, 255, 1),
          families: families.length > 0 ? families : ([4, 6] as const),
          ...(attributes ? attributesOf(attributes) : { communities: { standard: [], large: [] } }),
        };
      }),
    })),
  };
});

const ciliumTimers = (fields: Fields): BgpTimers => {
  const seconds = (name: string): number | undefined =>
    fields.json[name] == null ? undefined : number(fields, name, 0, 65_535);
  return {
    holdSeconds: seconds('holdTimeSeconds'),
    keepaliveSeconds: seconds('keepAliveTimeSeconds'),
    connectSeconds: seconds('connectRetryTimeSeconds'),
  };
};

/** Cilium looks for them in its own namespace. */
const ciliumSecret = (name: string): SecretRef | undefined =>
  name === '' ? undefined : { namespace: 'kube-system', name };

function gracefulRestart(fields: Fields): number | undefined {
  const restart = fields.object('gracefulRestart');
  return restart.flag('enabled', false) ? number(restart, 'restartTimeSeconds', 1, 4_095, 120) : undefined;
}

function familyNamed(fields: Fields): IpFamily | undefined {
  if (fields.text('safi') !== 'unicast') return undefined;
  const afi = fields.text('afi');
  return afi === 'ipv4' ? 4 : afi === 'ipv6' ? 6 : undefined;
}

const KINDS: readonly CiliumAddressKind[] = ['LoadBalancerIP', 'ExternalIP', 'ClusterIP'];
const kindsOf = (fields: Fields, name: string): readonly CiliumAddressKind[] =>
  KINDS.filter((kind) => fields.list(name).includes(kind));

function attributesOf(fields: Fields): Pick<CiliumAdvertised, 'communities' | 'localPreference'> {
  const communities = fields.object('communities');
  const read = (name: string, prefix = ''): Communities => {
    const found = texts(communities, name).map((text) => {
      const parsed = parseCommunity(`${prefix}${text}`);
      if (parsed) return parsed;
      throw malformed(`${communities.path}.${name}`, 'communities', text);
    });
    const of = (kind: 'standard' | 'large') => found.filter((each) => each.kind === kind).map(({ value }) => value);
    return { standard: of('standard'), large: of('large') };
  };
  const [standard, wellKnown, large] = [read('standard'), read('wellKnown'), read('large', 'large:')];
  return {
    communities: { standard: [...standard.standard, ...wellKnown.standard], large: large.large },
    localPreference:
      fields.json['localPreference'] == null ? undefined : number(fields, 'localPreference', 0, MOST_ASN),
  };
}

const definedOnly = (lengths: Readonly<Record<IpFamily, number | undefined>>): CiliumAdvertised['aggregation'] => ({
  ...(lengths[4] !== undefined && { 4: lengths[4] }),
  ...(lengths[6] !== undefined && { 6: lengths[6] }),
});

const selectorIn = (fields: Fields, name: string) =>
  fields.json[name] == null ? undefined : labelSelectorOf(fields.object(name));

function number(fields: Fields, name: string, least: number, most: number, fallback?: number): number {
  const value = fields.json[name] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  // MetalLB's kinds have 0 where nothing was said.
  if (value === 0 && fallback !== undefined) return fallback;
  throw malformed(fields.pathOf(name), `a number of ${least}-${most}`, value);
}

function address(fields: Fields, name: string): IpAddress {
  const parsed = parseIp(fields.text(name));
  if (parsed.ok) return parsed.value;
  throw malformed(fields.pathOf(name), 'an IP address', fields.text(name));
}

/** Four bytes, written as an IPv4 address. */
function routerId(fields: Fields): string | undefined {
  const text = fields.text('routerID');
  if (text === '') return undefined;
  const parsed = parseIp(text);
  if (parsed.ok && familyOf(parsed.value) === 4) return parsed.value;
  throw malformed(fields.pathOf('routerID'), 'an IPv4 address', text);
}

function passwordIn(fields: Fields): string | undefined {
  const text = fields.text('password');
  if (text === '' || isPassword(text)) return text || undefined;
  throw malformed(fields.pathOf('password'), '1-80 printable characters without spaces', '(not shown)');
}

const UNITS: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1, ms: 0.001 };

/** As Go writes them (`1m30s`), in whole seconds; undefined where there is none. */
function duration(fields: Fields, name: string): number | undefined {
  const text = fields.text(name);
  if (text === '') return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  const seconds = parts.reduce((sum, [, value, unit = '']) => sum + Number(value) * (UNITS[unit] ?? 0), 0);
  if (isWhole && Number.isInteger(seconds) && seconds <= 65_535) return seconds;
  throw malformed(fields.pathOf(name), 'whole seconds, as in 90s or 1m30s', text);
}

function texts(fields: Fields, name: string): readonly string[] {
  return fields.list(name).map((each, i) => {
    if (typeof each === 'string' && each !== '') return each;
    throw malformed(`${fields.pathOf(name)}[${i}]`, 'a text', each);
  });
}
