/**
 * `tombolo lb explain`: which address a Service has and why, or why it waits; then who announces it, and why others do not.
 * What was decided is told in plain words, nothing is decided here. Pure.
 */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { isJson, type Json } from '@tombolo/shared/kubernetes/json.ts';
import {
  CONDITION,
  convertLoadBalancerService,
  type LoadBalancerService,
} from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import { poolId } from '@tombolo/shared/model/address-pool.ts';
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import type { AddressFacts } from './address-facts.ts';
import { hasAddress } from './pools-view.ts';
import { type Paint, printable } from './table.ts';

/** What agents said; or why there is nothing of it. */
export type Announced =
  | {
      readonly addresses: readonly api.AnnouncedAddress[];
      readonly announcers: api.ListAnnouncersResponse;
    }
  | { readonly unknown: string };

export interface Explanation {
  readonly service: string;
  readonly addresses: readonly {
    readonly address: string;
    readonly why: string;
    readonly announced: readonly string[];
  }[];
  /** What it lacks, and what is to be known besides. */
  readonly remarks: readonly string[];
}

export function explain(service: Json, facts: AddressFacts, announced: Announced): Explanation {
  const converted = convertLoadBalancerService(service);
  const read = converted.kind === 'value' ? converted.value : undefined;
  const { namespace, name } = (service['metadata'] ?? {}) as { readonly namespace?: string; readonly name?: string };
  const condition = read?.conditions.find(({ type }) => type === CONDITION);
  const warnings = converted.kind === 'value' ? converted.warnings : [];
  return {
    service: `${namespace}/${name}`,
    addresses: (read?.taken.held ?? []).map((address) => ({
      address,
      why: read ? whyGiven(read, address, facts) : '',
      announced: announcedWords(address, announced),
    })),
    remarks: [
      ...(condition?.['status'] === 'False' ? [`${condition['message']} (${condition['reason']})`] : []),
      ...(condition || (read?.taken.held.length ?? 0) > 0 ? [] : [whyNothing(service, converted, facts)]),
      ...warnings,
      ...('unknown' in announced
        ? [`who announces it is not known: ${announced.unknown}`]
        : announced.announcers.problems),
    ],
  };
}

export function formatExplanation({ service, addresses, remarks }: Explanation, _now: number, paint: Paint): string {
  const lines = [
    paint('bold', service),
    ...(addresses.length === 0 ? ['  no address'] : []),
    ...addresses.flatMap(({ address, why, announced }) => [
      `  ${address}   ${printable(why)}`,
      ...announced.map((each) => `    ${printable(each)}`),
    ]),
    ...remarks.map((remark) => `  ${paint('yellow', printable(remark))}`),
  ];
  return `${lines.join('\n')}\n`;
}

function whyGiven(
  { taken, request }: LoadBalancerService,
  address: IpAddress,
  { pools, services }: AddressFacts,
): string {
  const from = pools.flatMap(({ pool }) => (pool && hasAddress(pool, address) ? pool : []));
  const where = from.length === 0 ? 'of no pool' : `of pool ${from.map(poolId).join(' and ')}`;
  const others = services.filter((each) => each.taken.key !== taken.key && each.taken.held.includes(address));
  const shared = others.length === 0 ? '' : `; shared with ${others.map((each) => each.taken.key).join(', ')}`;
  return `${where}: ${whyThis()}${shared}`;

  function whyThis(): string {
    if (!taken.isOurs) return 'given by another controller';
    if (request?.wanted.includes(address)) return 'the Service asks for this address';
    if (request?.wantedPool !== undefined) return `the Service asks for some address of pool ${request.wantedPool}`;
    const reserved = from.some(({ reservation }) => reservation);
    return reserved ? 'the Service asks for any, and the pool is reserved for it' : 'the Service asks for any';
  }
}

/** Of one that has no address, and about which nothing was said. */
function whyNothing(
  service: Json,
  converted: ReturnType<typeof convertLoadBalancerService>,
  { pools }: AddressFacts,
): string {
  if (converted.kind === 'refused') return `it cannot be read: ${converted.reason}`;
  const spec = isJson(service['spec']) ? service['spec'] : {};
  const { type, loadBalancerClass } = spec;
  if (type !== 'LoadBalancer') return `it is of type ${type}: only those of type LoadBalancer get addresses`;
  if (converted.kind === 'ignored' && loadBalancerClass != null)
    return `its loadBalancerClass is ${loadBalancerClass}: another controller gives it addresses`;
  if (converted.kind === 'ignored') return 'it has no cluster IP yet';
  if (pools.length === 0) return 'there is no pool of addresses';
  return 'nobody has decided about it: is clustermesh-apiserver running, and are addresses for load balancers switched on?';
}

const OBSTACLES: Readonly<Record<string, string>> = {
  nodeExcluded: 'this node is excluded from load balancers',
  otherClass: 'its loadBalancerClass is of another way of announcing',
  noEndpoints: 'none of its endpoints is ready',
  noLocalEndpoints: 'none of its endpoints on this node is ready, and externalTrafficPolicy is Local',
  notProgrammed: 'the kernel of this node does not lead it to its endpoints yet',
  noAdvertisement: 'no advertisement is for it',
  noNode: 'no node that an advertisement selects can answer',
  noInterface: 'no node has an interface that an advertisement selects and its network is at',
};

const obstacleWords = (obstacle: string): string => OBSTACLES[obstacle] ?? obstacle;

function announcedWords(address: IpAddress, announced: Announced): readonly string[] {
  if ('unknown' in announced) return [];
  const found = announced.addresses.find((each) => each.address === address);
  if (!found) return ['nothing asks for it to be announced, as far as this node knows'];
  const { obstacle, layer2, bgp, anycast, remoteOnly } = found;
  const here = obstacle === '' ? [] : [`this node does not announce it: ${obstacleWords(obstacle)}`];
  return [
    ...(layer2 ? layer2Words(layer2, announced.announcers) : []),
    ...bgp.map(({ peer, prefix }) => `BGP: this node tells ${peer} of ${prefix}`),
    ...(bgp.length === 0 && obstacle === '' && announced.announcers.bgpPeers.length > 0
      ? ['BGP: this node tells nobody, since no advertisement is for it']
      : []),
    ...(anycast ? ['other clusters announce it, too (anycast)'] : []),
    ...(remoteOnly === '' ? [] : [`other clusters alone have backends for it, so this one does: ${remoteOnly}`]),
    ...here,
  ];
}

function layer2Words(
  { owner, obstacle, next, answeredHere, problem }: api.Layer2Announcement,
  announcers: api.ListAnnouncersResponse,
) {
  const way = 'ARP and NDP';
  const wrong = problem === '' ? [] : [`${way}: ${problem}`];
  if (owner === '') return [`${way}: nobody answers: ${obstacleWords(obstacle)}`, ...wrong];
  const others = announcers.speakers.filter(({ node }) => node !== owner && node !== next);
  const [ready, unready] = [others.filter((each) => each.ready), others.filter((each) => !each.ready)];
  const names = (speakers: readonly api.Speaker[]): string => speakers.map(({ node }) => node).join(', ');
  return [
    `${way}: ${owner} answers${answeredHere ? ' (this node)' : ''}`,
    ...(next === '' ? [] : [`${way}: ${next} would be next, and looks whether the network believes ${owner}`]),
    ...(ready.length === 0 ? [] : [`${way}: ${names(ready)} do not, since one node answers for an address`]),
    ...(unready.length === 0 ? [] : [`${way}: ${names(unready)} could not, since they are not ready`]),
    ...wrong,
  ];
}
