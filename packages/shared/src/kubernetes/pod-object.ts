/** Pods: who has which address. Pods in the host's network, without an address, or at their end are left out. */
import type { IpAddress } from '../model/ip.ts';
import { addressesAmong, converter, type Fields, severalOf, type Texts, type Warn } from './fields.ts';

export interface KubernetesPod {
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly labels: Texts;
  readonly addresses: readonly IpAddress[];
  /** The node's addresses; the first is the one to reach it at. Empty when unknown. */
  readonly hostAddresses: readonly IpAddress[];
  /** RFC 3339; orders pods that claim the same address. */
  readonly createdAt: string;
  readonly uid: string;
}

/** The addresses of a pod from the moment it has them, before it runs; none of one that has ended. */
export const convertPodAddresses = converter<readonly IpAddress[]>((object, warn) => {
  const status = object.object('status');
  const hasEnded = status.json['phase'] === 'Succeeded' || status.json['phase'] === 'Failed';
  if (object.object('spec').json['hostNetwork'] === true || hasEnded) return undefined;
  const addresses = ips(status, 'podIPs', 'podIP', warn);
  return addresses.length === 0 ? undefined : addresses;
});

export const convertPod = converter<KubernetesPod>((object, warn) => {
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const status = object.object('status');
  if (spec.json['hostNetwork'] === true || status.json['phase'] !== 'Running') return undefined;
  const addresses = ips(status, 'podIPs', 'podIP', warn);
  if (addresses.length === 0) return undefined;
  return {
    namespace: metadata.text('namespace'),
    name: metadata.text('name'),
    serviceAccount: spec.text('serviceAccountName') || 'default',
    labels: metadata.texts('labels'),
    addresses,
    hostAddresses: ips(status, 'hostIPs', 'hostIP', warn),
    createdAt: metadata.text('creationTimestamp'),
    uid: metadata.text('uid'),
  };
});

/** `podIPs: [{ip}]`, or the older `podIP`. */
function ips(status: Fields, several: string, single: string, warn: Warn): readonly IpAddress[] {
  const texts = status.objects(several).map((each) => each.text('ip'));
  return addressesAmong(severalOf(texts, status.text(single)), status.pathOf(several), warn);
}
