/**
 * What a Service asks of those who give out LoadBalancer addresses, in the words of Cilium and of MetalLB, and what its
 * status says that it got. Of a Service that asks nothing only the addresses that are taken by it.
 */
import type { AddressRequest, Sharing, TakenAddresses } from '../model/address-request.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { type Protocol, serviceKey } from '../model/service.ts';
import { addressesAmong, converter, type Fields, portOf, type Texts, type Warn } from './fields.ts';
import type { Json } from './json.ts';

export interface LoadBalancerService {
  readonly taken: TakenAddresses;
  /** Undefined: it wants no address of ours. */
  readonly request: AddressRequest | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
  /** `status.loadBalancer.ingress` and `status.conditions` as they are. */
  readonly ingress: readonly Json[];
  readonly conditions: readonly Json[];
}

/** Of the condition that says what became of a request; whoever has it has its addresses from us. */
export const CONDITION = 'tombolo.io/IPAMRequestSatisfied';
/** Those of Cilium count as ours: they choose how an address is announced. */
const CLASSES = ['io.cilium/bgp-control-plane', 'io.cilium/l2-announcer', 'tombolo.io/load-balancer'];

export const convertLoadBalancerService = converter<LoadBalancerService>((object, warn) => {
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const status = object.object('status');
  const ingress = status.object('loadBalancer').objects('ingress');
  const held = addressesAmong(
    ingress.map(({ json }) => json['ip'] ?? '').filter((each) => each !== ''),
    'status.loadBalancer.ingress',
    warn,
  );
  const external = addressesAmong(spec.list('externalIPs'), 'spec.externalIPs', warn);
  const conditions = status.objects('conditions').map(({ json }) => json);
  const isOurs = conditions.some((each) => each['type'] === CONDITION);
  const request = wantsAddresses(spec) ? requestOf(object, warn) : undefined;
  if (!request && held.length === 0 && external.length === 0 && !isOurs) return undefined;
  return {
    taken: { key: serviceKey(metadata.text('namespace'), metadata.text('name')), held, external, isOurs },
    request,
    uid: metadata.text('uid'),
    resourceVersion: metadata.text('resourceVersion'),
    ingress: ingress.map(({ json }) => json),
    conditions,
  };
});

function wantsAddresses(spec: Fields): boolean {
  const loadBalancerClass = spec.json['loadBalancerClass'] ?? undefined;
  return (
    spec.text('type') === 'LoadBalancer' &&
    (loadBalancerClass === undefined || CLASSES.includes(`${loadBalancerClass}`)) &&
    // Not allocated yet: its families are not known.
    spec.list('clusterIPs').length > 0
  );
}

function requestOf(object: Fields, warn: Warn): AddressRequest {
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const annotations = metadata.texts('annotations');
  const isLocal = spec.text('externalTrafficPolicy') === 'Local';
  const wantedPool = either(annotations, ['metallb.io/address-pool', 'metallb.universe.tf/address-pool']);
  return {
    key: serviceKey(metadata.text('namespace'), metadata.text('name')),
    createdAt: metadata.text('creationTimestamp'),
    labels: metadata.texts('labels'),
    families: familiesOf(spec),
    policy: (spec.text('ipFamilyPolicy') || 'SingleStack') as AddressRequest['policy'],
    wanted: wantedAddresses(spec, annotations, warn),
    ...(wantedPool !== '' && { wantedPool }),
    sharing: sharingOf(annotations),
    ports: spec.objects('ports').flatMap((each): { readonly protocol: Protocol; readonly port: number }[] => {
      const port = portOf(each, warn);
      return port ? [{ protocol: port.protocol, port: port.port }] : [];
    }),
    ...(isLocal && { localSelector: selectorText(spec.texts('selector')) }),
  };
}

function familiesOf(spec: Fields): readonly IpFamily[] {
  const families = spec.list('ipFamilies').map((each): IpFamily => (each === 'IPv6' ? 6 : 4));
  return families.length > 0 ? families : [4];
}

/** The current spelling of an annotation alone counts, where both are there. */
function either(annotations: Texts, [current, old]: readonly [string, string]): string {
  return (annotations[current] ?? annotations[old] ?? '').trim();
}

const listed = (text: string): readonly string[] =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');

function wantedAddresses(spec: Fields, annotations: Texts, warn: Warn): readonly IpAddress[] {
  const places: readonly (readonly [string, readonly string[]])[] = [
    ['spec.loadBalancerIP', listed(spec.text('loadBalancerIP'))],
    ['annotation lbipam.cilium.io/ips', listed(either(annotations, ['lbipam.cilium.io/ips', 'io.cilium/lb-ipam-ips']))],
    [
      'annotation metallb.io/loadBalancerIPs',
      listed(either(annotations, ['metallb.io/loadBalancerIPs', 'metallb.universe.tf/loadBalancerIPs'])),
    ],
  ];
  return [...new Set(places.flatMap(([path, texts]) => addressesAmong(texts, path, warn)))];
}

function sharingOf(annotations: Texts): Sharing | undefined {
  const cilium = either(annotations, ['lbipam.cilium.io/sharing-key', 'io.cilium/lb-ipam-sharing-key']);
  if (cilium !== '') {
    const others = either(annotations, [
      'lbipam.cilium.io/sharing-cross-namespace',
      'io.cilium/lb-ipam-sharing-cross-namespace',
    ]);
    return { product: 'cilium', key: cilium, namespaces: listed(others) };
  }
  const metallb = either(annotations, ['metallb.io/allow-shared-ip', 'metallb.universe.tf/allow-shared-ip']);
  return metallb === '' ? undefined : { product: 'metallb', key: metallb, namespaces: ['*'] };
}

const selectorText = (selector: Texts): string =>
  Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
