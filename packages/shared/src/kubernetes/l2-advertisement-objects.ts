/**
 * MetalLB's `L2Advertisement` (metallb.io/v1beta1) and Cilium's `CiliumL2AnnouncementPolicy` (cilium.io/v2alpha1). What
 * cannot be read refuses the whole object: half a selector, or half a list of interfaces, selects what it should not.
 */
import type { InterfacePattern, L2AddressKind, L2Advertisement } from '../model/l2-advertisement.ts';
import { converter, type Fields, malformed } from './fields.ts';
import { labelSelectorOf } from './label-selector-object.ts';

export const convertL2Advertisement = converter<L2Advertisement>((object) => {
  const spec = object.object('spec');
  return {
    product: 'metallb',
    name: object.object('metadata').text('name'),
    kinds: ['LoadBalancer'],
    pools: {
      names: texts(spec, 'ipAddressPools'),
      labels: spec.objects('ipAddressPoolSelectors').map(labelSelectorOf),
    },
    services: spec.objects('serviceSelectors').map(labelSelectorOf),
    nodes: spec.objects('nodeSelectors').map(labelSelectorOf),
    preferences: spec.objects('preferredNodeSelectors').map((each) => {
      const { weight } = each.json;
      if (typeof weight === 'number' && weight >= 1 && weight <= 100)
        return { weight, nodes: labelSelectorOf(each.object('preference')) };
      throw malformed(each.pathOf('weight'), '1-100', weight);
    }),
    interfaces: texts(spec, 'interfaces').map((name) => ({ name })),
  };
});

export const convertL2Policy = converter<L2Advertisement>((object, warn) => {
  const spec = object.object('spec');
  const kinds: readonly L2AddressKind[] = [
    ...(spec.flag('loadBalancerIPs', false) ? (['LoadBalancer'] as const) : []),
    ...(spec.flag('externalIPs', false) ? (['ExternalIP'] as const) : []),
  ];
  if (kinds.length === 0) warn('it announces nothing: neither spec.loadBalancerIPs nor spec.externalIPs is true');
  return {
    product: 'cilium',
    name: object.object('metadata').text('name'),
    kinds,
    services: selectorIn(spec, 'serviceSelector'),
    nodes: selectorIn(spec, 'nodeSelector'),
    preferences: [],
    interfaces: texts(spec, 'interfaces').map((text, i) => expression(text, `spec.interfaces[${i}]`)),
  };
});

const selectorIn = (spec: Fields, name: string) =>
  spec.json[name] == null ? [] : [labelSelectorOf(spec.object(name))];

function texts(fields: Fields, name: string): readonly string[] {
  return fields.list(name).map((each, i) => {
    if (typeof each === 'string' && each !== '') return each;
    throw malformed(`${fields.pathOf(name)}[${i}]`, 'a name', each);
  });
}

/** As far as Go's syntax (RE2) and JavaScript's agree, which for names of interfaces they do. */
function expression(text: string, path: string): InterfacePattern {
  try {
    return { expression: new RegExp(text) };
  } catch {
    throw malformed(path, 'a regular expression', text);
  }
}
