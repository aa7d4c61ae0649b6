/** Nodes: what a node agent needs of its own, and what the mesh is told of each. */
import { type IpAddress, parseCidr, parseIp } from '../model/ip.ts';
import type { LocalNode } from '../model/service.ts';
import { converter, type Fields, severalOf, type Texts, type Warn } from './fields.ts';

export interface NodeAddress {
  readonly type: 'InternalIP' | 'ExternalIP';
  readonly address: IpAddress;
}

export interface KubernetesNode extends LocalNode {
  /** The addresses with their types, in the Node's order. */
  readonly typedAddresses: readonly NodeAddress[];
  readonly labels: Texts;
  readonly bootId: string;
  /** It is being deleted, or the cluster autoscaler has marked it as the next to go. */
  readonly leaving: boolean;
  /** It is not to get traffic from outside: by its label, or since it has no network. */
  readonly excludedFromLoadBalancers: boolean;
  readonly uid: string;
  /** Kubernetes hears nothing of it any more: whatever runs there may be alive or not. */
  readonly unreachable: boolean;
}

/** Its presence counts, whatever its value. */
const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';
const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

export const convertNode = converter<KubernetesNode>((object, warn) => {
  const metadata = object.object('metadata');
  const status = object.object('status');
  const spec = object.object('spec');
  const labels = metadata.texts('labels');
  const typedAddresses = addresses(status, warn);
  const conditions = status.objects('conditions').map(({ json }) => json);
  const isSaid = (type: string, value: string): boolean =>
    conditions.some((each) => each['type'] === type && each['status'] === value);
  return {
    name: metadata.text('name'),
    zone: labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '',
    addresses: typedAddresses.map(({ address }) => address),
    podCidrs: podCidrs(spec, warn),
    typedAddresses,
    labels,
    bootId: status.object('nodeInfo').text('bootID'),
    leaving:
      metadata.text('deletionTimestamp') !== '' ||
      spec.objects('taints').some((taint) => taint.json['key'] === AUTOSCALER_TAINT),
    excludedFromLoadBalancers: EXCLUDED in labels || isSaid('NetworkUnavailable', 'True'),
    uid: metadata.text('uid'),
    unreachable: isSaid('Ready', 'Unknown'),
  };
});

function addresses(status: Fields, warn: Warn): readonly NodeAddress[] {
  return status.objects('addresses').flatMap((each): NodeAddress[] => {
    const { type } = each.json;
    // Host names and DNS names are among them.
    if (type !== 'InternalIP' && type !== 'ExternalIP') return [];
    const parsed = parseIp(each.text('address'));
    if (parsed.ok) return [{ type, address: parsed.value }];
    warn(`status.addresses left out: ${parsed.error}`);
    return [];
  });
}

function podCidrs(spec: Fields, warn: Warn): readonly string[] {
  return severalOf(spec.list('podCIDRs'), spec.text('podCIDR')).filter((each): each is string => {
    const parsed = parseCidr(typeof each === 'string' ? each : '');
    if (!parsed.ok) warn(`spec.podCIDRs left out: ${parsed.error}`);
    return parsed.ok;
  });
}
