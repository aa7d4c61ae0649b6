/** Pools and Services for tests of the allocator, from the objects that people write. */
import assert from 'node:assert/strict';
import { convertCiliumPool, convertMetallbPool } from '@tombolo/shared/kubernetes/address-pool-objects.ts';
import { convertLoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import type { AddressPool } from '@tombolo/shared/model/address-pool.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import type { Claimant } from './allocator.ts';

type Spec = Readonly<Record<string, unknown>>;

const metadata = (name: string, createdAt: string) => ({ name, creationTimestamp: createdAt });

export function ciliumPool(name: string, spec: Spec, createdAt = '2026-01-01T00:00:00Z'): AddressPool {
  const converted = convertCiliumPool({ metadata: metadata(name, createdAt), spec });
  assert.equal(converted.kind, 'value');
  return converted.kind === 'value' ? converted.value : assert.fail();
}

export function metallbPool(name: string, spec: Spec, createdAt = '2026-01-01T00:00:00Z'): AddressPool {
  const converted = convertMetallbPool({ metadata: metadata(name, createdAt), spec });
  assert.equal(converted.kind, 'value');
  return converted.kind === 'value' ? converted.value : assert.fail();
}

export interface ServiceParts {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Spec;
  readonly held?: readonly string[];
  readonly isOurs?: boolean;
  readonly createdAt?: string;
}

export function claim(name: string, parts: ServiceParts = {}): Claimant {
  const { namespace = 'shop', labels, annotations, spec, held = [], isOurs = false } = parts;
  const converted = convertLoadBalancerService({
    metadata: { name, namespace, labels, annotations, creationTimestamp: parts.createdAt ?? '2026-01-01T00:00:00Z' },
    spec: {
      ...{ type: 'LoadBalancer', clusterIPs: ['10.96.0.7'], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' },
      ...{ ports: [{ port: 80 }], selector: { app: name } },
      ...spec,
    },
    status: {
      loadBalancer: { ingress: held.map((address) => ({ ip: address })) },
      conditions: isOurs ? [{ type: 'tombolo.io/IPAMRequestSatisfied', status: 'True' }] : [],
    },
  });
  return converted.kind === 'value' ? converted.value : assert.fail(JSON.stringify(converted));
}

export const key = (name: string, namespace = 'shop'): ServiceKey => serviceKey(namespace, name);
export const DUAL = { ipFamilies: ['IPv4', 'IPv6'], clusterIPs: ['10.96.0.7', 'fd00::7'] } as const;
