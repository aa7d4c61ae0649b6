/**
 * Which addresses are announced by ARP and NDP, from which nodes and at which interfaces: MetalLB's `L2Advertisement` and
 * Cilium's `CiliumL2AnnouncementPolicy`.
 */
import type { PoolProduct } from './address-pool.ts';
import { isSelected, type LabelSelector, type Labels } from './label-selector.ts';
import { type ServiceKey, splitServiceKey } from './service.ts';

export type L2AddressKind = 'LoadBalancer' | 'ExternalIP';

export interface L2Advertisement {
  readonly product: PoolProduct;
  readonly name: string;
  readonly kinds: readonly L2AddressKind[];
  /** Which pools an address must be of; undefined: it need not be of any. */
  readonly pools?: PoolChoice | undefined;
  /** One of them must select the Service; none: every Service. */
  readonly services: readonly LabelSelector[];
  /** One of them must select the node; none: every node. */
  readonly nodes: readonly LabelSelector[];
  /** The weights of all that select a node add up; of two nodes the one with more is chosen. */
  readonly preferences: readonly { readonly weight: number; readonly nodes: LabelSelector }[];
  /** One of them must fit; none: every interface. */
  readonly interfaces: readonly InterfacePattern[];
}

/** Of its product's pools: those that are named or selected, all where neither is given. */
export interface PoolChoice {
  readonly names: readonly string[];
  readonly labels: readonly LabelSelector[];
}

/** MetalLB names interfaces; Cilium has expressions that fit anywhere in the name. */
export type InterfacePattern = { readonly name: string } | { readonly expression: RegExp };

export interface AdvertisedAddress {
  readonly service: ServiceKey;
  readonly labels: Labels;
  readonly kind: string;
  readonly pools: readonly { readonly product: PoolProduct; readonly name: string; readonly labels: Labels }[];
}

export function isAdvertised(advertisement: L2Advertisement, address: AdvertisedAddress): boolean {
  const { product, kinds, pools, services } = advertisement;
  if (!kinds.some((kind) => kind === address.kind)) return false;
  if (pools && !address.pools.some((pool) => pool.product === product && isChosen(pools, pool))) return false;
  return isAnySelected(services, labelsFor(product, address));
}

const isChosen = ({ names, labels }: PoolChoice, pool: { readonly name: string; readonly labels: Labels }): boolean =>
  (names.length === 0 && labels.length === 0) ||
  names.includes(pool.name) ||
  labels.some((selector) => isSelected(selector, pool.labels));

/** Cilium's pseudo labels win over real ones of the same key. */
function labelsFor(product: PoolProduct, { service, labels }: AdvertisedAddress): Labels {
  if (product === 'metallb') return labels;
  const { namespace, name } = splitServiceKey(service);
  return { ...labels, 'io.kubernetes.service.namespace': namespace, 'io.kubernetes.service.name': name };
}

const isAnySelected = (selectors: readonly LabelSelector[], labels: Labels): boolean =>
  selectors.length === 0 || selectors.some((selector) => isSelected(selector, labels));

export const isNodeSelected = ({ nodes }: L2Advertisement, labels: Labels): boolean => isAnySelected(nodes, labels);

export const preferenceFor = ({ preferences }: L2Advertisement, labels: Labels): number =>
  preferences.reduce((sum, { weight, nodes }) => sum + (isSelected(nodes, labels) ? weight : 0), 0);

export const fitsInterface = ({ interfaces }: L2Advertisement, name: string): boolean =>
  interfaces.length === 0 ||
  interfaces.some((pattern) => ('name' in pattern ? pattern.name === name : pattern.expression.test(name)));
