/**
 * `CiliumLoadBalancerIPPool` (cilium.io/v2 and v2alpha1) and MetalLB's `IPAddressPool` (metallb.io/v1beta1). A block that
 * cannot be used is left out with a warning; a selector that cannot be read refuses the whole pool.
 */
import type { AddressPool } from '../model/address-pool.ts';
import { type AddressRange, parseRange, rangeBetween, rangeOf } from '../model/address-range.ts';
import { parseNetwork } from '../model/ip.ts';
import { ok, type Result } from '../model/result.ts';
import { converter, type Fields, type Warn } from './fields.ts';
import { labelSelectorOf } from './label-selector-object.ts';

export const convertCiliumPool = converter<AddressPool>((object, warn) => {
  const about = aboutPool(object);
  const spec = object.object('spec');
  const keepsEnds = spec.text('allowFirstLastIPs') !== 'No';
  const selector = spec.json['serviceSelector'];
  return {
    product: 'cilium',
    ...about,
    ranges: usable(spec.objects('blocks'), 'spec.blocks', (block) => ciliumRange(block, keepsEnds), warn),
    avoidsBuggyIps: false,
    disabled: spec.flag('disabled', false),
    automatic: true,
    priority: Number.POSITIVE_INFINITY,
    ...(selector != null && {
      reservation: { services: [labelSelectorOf(spec.object('serviceSelector'))], namespaces: [], namespaceLabels: [] },
    }),
  };
});

export const convertMetallbPool = converter<AddressPool>((object, warn) => {
  const about = aboutPool(object);
  const spec = object.object('spec');
  const allocation = spec.object('serviceAllocation');
  const { priority } = allocation.json;
  const range = (text: unknown): Result<AddressRange> => parseRange(typeof text === 'string' ? text : '');
  return {
    product: 'metallb',
    ...about,
    ranges: usable(spec.list('addresses'), 'spec.addresses', range, warn),
    avoidsBuggyIps: spec.flag('avoidBuggyIPs', false),
    disabled: false,
    automatic: spec.flag('autoAssign', true),
    priority: typeof priority === 'number' && priority > 0 ? priority : Number.POSITIVE_INFINITY,
    ...(spec.json['serviceAllocation'] != null && {
      reservation: {
        services: allocation.objects('serviceSelectors').map(labelSelectorOf),
        namespaces: texts(allocation, 'namespaces'),
        namespaceLabels: allocation.objects('namespaceSelectors').map(labelSelectorOf),
      },
    }),
  };
});

function aboutPool(object: Fields): Pick<AddressPool, 'name' | 'labels' | 'createdAt'> {
  const metadata = object.object('metadata');
  return {
    name: metadata.text('name'),
    labels: metadata.texts('labels'),
    createdAt: metadata.text('creationTimestamp'),
  };
}

const texts = (fields: Fields, name: string): readonly string[] =>
  fields.list(name).filter((each): each is string => typeof each === 'string');

function usable<T>(
  items: readonly T[],
  path: string,
  read: (item: T) => Result<AddressRange>,
  warn: Warn,
): readonly AddressRange[] {
  return items.flatMap((item, i) => {
    const range = read(item);
    if (!range.ok) warn(`${path}[${i}] left out: ${range.error}`);
    return range.ok ? [range.value] : [];
  });
}

/** Host bits count for nothing. Without its ends a prefix loses two addresses, unless it has no more than those. */
function ciliumRange(block: Fields, keepsEnds: boolean): Result<AddressRange> {
  const [start, stop] = [block.text('start'), block.text('stop')];
  if (start !== '') return rangeBetween(start, stop === '' ? start : stop);
  const prefix = parseNetwork(block.text('cidr'));
  if (!prefix.ok) return prefix;
  const range = rangeOf(prefix.value);
  return ok(
    keepsEnds || range.last - range.first < 2n ? range : { ...range, first: range.first + 1n, last: range.last - 1n },
  );
}
