/** Nodes: what a node agent needs of its own, and what the mesh is told of each. */
import { type IpAddress, parseCidr, parseIp } from '../model/ip.ts';
import type { LocalNode } from '../model/service.ts';
import type { Conversion } from './conversion.ts';
import { converting, type Fields, fieldsOf, listOf, recordsOf, type Texts, textOf, textsOf } from './fields.ts';

export interface NodeAddress {
  readonly type: 'InternalIP' | 'ExternalIP';
  readonly address: IpAddress;
}

export interface KubernetesNode extends LocalNode {
  /** The addresses with their types, in the Node's order. */
  readonly typedAddresses: readonly NodeAddress[];
  readonly labels: Texts;
  readonly annotations: Texts;
  readonly bootId: string;
  /** It is being deleted, or the cluster autoscaler has marked it as the next to go. */
  readonly leaving: boolean;
}

const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

export function convertNode(object: Fields): Conversion<KubernetesNode> {
  return converting((warn) => {
    const metadata = fieldsOf(object, 'metadata');
    const status = fieldsOf(object, 'status');
    const spec = fieldsOf(object, 'spec');
    const labels = textsOf(metadata, 'labels', 'metadata.labels');
    const typedAddresses = recordsOf(status, 'addresses', 'status.addresses').flatMap((each): NodeAddress[] => {
      const type = each['type'];
      // Host names and DNS names are among them.
      if (type !== 'InternalIP' && type !== 'ExternalIP') return [];
      const parsed = parseIp(textOf(each, 'address', 'status.addresses.address'));
      if (parsed.ok) return [{ type, address: parsed.value }];
      warn(`status.addresses left out: ${parsed.error}`);
      return [];
    });
    return {
      name: textOf(metadata, 'name', 'metadata.name'),
      zone: labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '',
      addresses: typedAddresses.map((each) => each.address),
      podCidrs: podCidrs(spec, warn),
      typedAddresses,
      labels,
      annotations: textsOf(metadata, 'annotations', 'metadata.annotations'),
      bootId: textOf(fieldsOf(status, 'nodeInfo', 'status.nodeInfo'), 'bootID', 'status.nodeInfo.bootID'),
      leaving:
        textOf(metadata, 'deletionTimestamp', 'metadata.deletionTimestamp') !== '' ||
        recordsOf(spec, 'taints', 'spec.taints').some(({ key }) => key === AUTOSCALER_TAINT),
    };
  });
}

function podCidrs(spec: Fields, warn: (sentence: string) => void): readonly string[] {
  const several = listOf(spec, 'podCIDRs', 'spec.podCIDRs');
  const all = several.length > 0 ? several : [textOf(spec, 'podCIDR', 'spec.podCIDR')].filter((each) => each !== '');
  return all.filter((each): each is string => {
    const parsed = parseCidr(typeof each === 'string' ? each : '');
    if (!parsed.ok) warn(`spec.podCIDRs left out: ${parsed.error}`);
    return parsed.ok;
  });
}
