/** Pods: who has which address. Pods in the host's network, without an address, or at their end are left out. */
import type { IpAddress } from '../model/ip.ts';
import type { Conversion } from './conversion.ts';
import { addressesAmong, converting, type Fields, fieldsOf, recordsOf, type Texts, textOf, textsOf } from './fields.ts';

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

export function convertPod(object: Fields): Conversion<KubernetesPod> {
  return converting((warn) => {
    const metadata = fieldsOf(object, 'metadata');
    const spec = fieldsOf(object, 'spec');
    const status = fieldsOf(object, 'status');
    if (spec['hostNetwork'] === true || status['phase'] !== 'Running') return undefined;
    const addresses = severalOf(status, 'podIPs', 'podIP', warn);
    if (addresses.length === 0) return undefined;
    return {
      namespace: textOf(metadata, 'namespace', 'metadata.namespace'),
      name: textOf(metadata, 'name', 'metadata.name'),
      serviceAccount: textOf(spec, 'serviceAccountName', 'spec.serviceAccountName') || 'default',
      labels: textsOf(metadata, 'labels', 'metadata.labels'),
      addresses,
      hostAddresses: severalOf(status, 'hostIPs', 'hostIP', warn),
      createdAt: textOf(metadata, 'creationTimestamp', 'metadata.creationTimestamp'),
      uid: textOf(metadata, 'uid', 'metadata.uid'),
    };
  });
}

/** `podIPs: [{ip}]`, or the older `podIP`. */
function severalOf(
  status: Fields,
  several: string,
  single: string,
  warn: (sentence: string) => void,
): readonly IpAddress[] {
  const path = `status.${several}`;
  const texts = recordsOf(status, several, path).map((each) => textOf(each, 'ip', `${path}.ip`));
  const all = texts.length > 0 ? texts : [textOf(status, single, `status.${single}`)];
  return addressesAmong(
    all.filter((text) => text !== ''),
    path,
    warn,
  );
}
