/**
 * MetalLB's `ServiceL2Status` and `ServiceBGPStatus` (metallb.io/v1beta1): one object for each Service and node that announces
 * it, found by its labels. The same for both kinds, whose `status` differs.
 */
import { type ServiceKey, serviceKey } from '../model/service.ts';
import { converter } from './fields.ts';
import type { Json } from './json.ts';

export const STATUS_LABELS = {
  node: 'metallb.io/node',
  service: 'metallb.io/service-name',
  namespace: 'metallb.io/service-namespace',
} as const;

/** MetalLB's own have no such label, and lose ours where it takes one over. */
export const MANAGED_BY = 'app.kubernetes.io/managed-by';
export const OUR_NAME = 'tombolo';

export interface ServiceStatusObject {
  readonly name: string;
  /** That it is about; undefined where its labels do not say. */
  readonly service: ServiceKey | undefined;
  readonly isOurs: boolean;
  readonly status: Json;
}

export const convertServiceStatus = converter<ServiceStatusObject>((object) => {
  const metadata = object.object('metadata');
  const labels = metadata.texts('labels');
  const [name, namespace] = [labels[STATUS_LABELS.service], labels[STATUS_LABELS.namespace]];
  return {
    name: metadata.text('name'),
    service: name === undefined || namespace === undefined ? undefined : serviceKey(namespace, name),
    isOurs: labels[MANAGED_BY] === OUR_NAME,
    status: object.object('status').json,
  };
});
