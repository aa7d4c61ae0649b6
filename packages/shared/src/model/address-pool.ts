/**
 * Pools of addresses for Services of type LoadBalancer, as people have them: Cilium's `CiliumLoadBalancerIPPool` and
 * MetalLB's `IPAddressPool`. Each keeps the rules of the product that it was written for.
 */
import type { AddressRange } from './address-range.ts';
import { isSelected, type LabelSelector, type Labels } from './label-selector.ts';
import { type ServiceKey, splitServiceKey } from './service.ts';

export type PoolProduct = 'cilium' | 'metallb';

export interface AddressPool {
  readonly product: PoolProduct;
  readonly name: string;
  readonly labels: Labels;
  /** RFC 3339, as text that sorts. */
  readonly createdAt: string;
  /** In the order in which addresses are given out. */
  readonly ranges: readonly AddressRange[];
  /** Addresses of IPv4 that end in 0 or 255 are not given out. */
  readonly avoidsBuggyIps: boolean;
  /** Nothing is given out; who has an address keeps it. */
  readonly disabled: boolean;
  /** Whether somebody may get an address of it who asks for none in particular. */
  readonly automatic: boolean;
  /** Whose it is: of the lowest first; infinite where it is not said. */
  readonly priority: number;
  /** For whom it is; absent: for everybody. */
  readonly reservation?: PoolReservation | undefined;
}

/** A Service must be selected by one of each kind that is there; namespaces are selected by name or by label. */
export interface PoolReservation {
  readonly services: readonly LabelSelector[];
  readonly namespaces: readonly string[];
  readonly namespaceLabels: readonly LabelSelector[];
}

export const poolId = ({ product, name }: Pick<AddressPool, 'product' | 'name'>): string => `${product}/${name}`;

/** Whether nothing about it is another, as when somebody wrote to its status. */
export const isSamePool = (a: AddressPool, b: AddressPool): boolean => textOf(a) === textOf(b);

const textOf = (pool: AddressPool): string =>
  JSON.stringify(pool, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));

/** Whether a Service may have an address of a pool. */
export function isFor(pool: AddressPool, service: ServiceKey, labels: Labels, namespaceLabels: Labels): boolean {
  const { reservation } = pool;
  if (!reservation) return true;
  const { services, namespaces, namespaceLabels: byLabel } = reservation;
  const { namespace, name } = splitServiceKey(service);
  // Cilium's pseudo labels win over real ones of the same key.
  const seen =
    pool.product === 'metallb'
      ? labels
      : { ...labels, 'io.kubernetes.service.namespace': namespace, 'io.kubernetes.service.name': name };
  const isNamespace =
    (namespaces.length === 0 && byLabel.length === 0) ||
    namespaces.includes(namespace) ||
    byLabel.some((selector) => isSelected(selector, namespaceLabels));
  return isNamespace && (services.length === 0 || services.some((selector) => isSelected(selector, seen)));
}
