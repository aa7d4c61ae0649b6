/**
 * `CiliumLoadBalancerIPPool` (cilium.io/v2 and v2alpha1) and MetalLB's `IPAddressPool` (metallb.io/v1beta1). A block that
 * cannot be used is left out with a warning; a selector or a share that cannot be read refuses the whole pool: it would
 * give to others what it should not.
 */
import type { AddressPool } from '../model/address-pool.ts';
import {
  type AddressRange,
  parseRange,
  parseShare,
  rangeBetween,
  rangeOf,
  type Share,
  shareOf,
} from '../model/address-range.ts';
import { parseNetwork } from '../model/ip.ts';
import { ok, type Result } from '../model/result.ts';
import { converter, type Fields, malformed, type Warn, warnOfOthers } from './fields.ts';
import { labelSelectorOf } from './label-selector-object.ts';

/** Which part of each of its ranges this cluster gives out, where several have the same pool. */
export const SHARE = 'lb.tombolo.io/cluster-share';

export const convertCiliumPool = converter<AddressPool>((object, warn) => {
  const about = aboutPool(object);
  const spec = object.object('spec');
  const keepsEnds = spec.text('allowFirstLastIPs') !== 'No';
  const selector = spec.json['serviceSelector'];
  warnOfOthers(spec, ['blocks', 'allowFirstLastIPs', 'disabled', 'serviceSelector'], warn);
  for (const block of spec.objects('blocks')) warnOfOthers(block, ['cidr', 'start', 'stop'], warn);
  if (selector != null) warnOfOthers(spec.object('serviceSelector'), SELECTOR, warn);
  return {
    product: 'cilium',
    ...about,
    ranges: usable(object, spec.objects('blocks'), 'spec.blocks', (block) => ciliumRange(block, keepsEnds), warn),
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
  warnOfOthers(spec, ['addresses', 'autoAssign', 'avoidBuggyIPs', 'serviceAllocation'], warn);
  warnOfOthers(allocation, ['priority', 'namespaces', 'namespaceSelectors', 'serviceSelectors'], warn);
  for (const name of ['namespaceSelectors', 'serviceSelectors'])
    for (const selector of allocation.objects(name)) warnOfOthers(selector, SELECTOR, warn);
  const range = (text: unknown): Result<AddressRange> => parseRange(typeof text === 'string' ? text : '');
  return {
    product: 'metallb',
    ...about,
    ranges: usable(object, spec.list('addresses'), 'spec.addresses', range, warn),
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

const SELECTOR = ['matchLabels', 'matchExpressions'];

function usable<T>(
  object: Fields,
  items: readonly T[],
  path: string,
  read: (item: T) => Result<AddressRange>,
  warn: Warn,
): readonly AddressRange[] {
  if (items.length === 0) warn(`${path} is empty: the pool has no addresses`);
  const share = shareIn(object.object('metadata'));
  return items.flatMap((item, i) => {
    const range = read(item);
    if (!range.ok) warn(`${path}[${i}] left out: ${range.error}`);
    return range.ok ? ((share ? shareOf(range.value, share) : range.value) ?? []) : [];
  });
}

function shareIn(metadata: Fields): Share | undefined {
  const text = metadata.texts('annotations')[SHARE];
  if (text === undefined) return undefined;
  const share = parseShare(text.trim());
  if (share.ok) return share.value;
  throw malformed(`metadata.annotations["${SHARE}"]`, 'a part such as 2/5, the second of five', text);
}

/** Host bits count for nothing. Without its ends a prefix loses two addresses, unless it has no more than those. */
function ciliumRange(block: Fields, keepsEnds: boolean): Result<AddressRange> {
  const [cidr, start, stop] = [block.text('cidr'), block.text('start'), block.text('stop')];
  if (cidr === '' && start !== '') return rangeBetween(start, stop === '' ? start : stop);
  const prefix = parseNetwork(cidr);
  if (!prefix.ok) return prefix;
  const range = rangeOf(prefix.value);
  return ok(
    keepsEnds || range.last - range.first < 2n ? range : { ...range, first: range.first + 1n, last: range.last - 1n },
  );
}
