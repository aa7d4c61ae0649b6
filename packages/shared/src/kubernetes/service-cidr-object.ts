/** ServiceCIDRs: the prefixes from which the API server takes cluster IPs. */
import { type Cidr, parseNetwork } from '../model/ip.ts';
import type { Conversion } from './conversion.ts';
import { converting, type Fields, fieldsOf, listOf } from './fields.ts';

export function convertServiceCidr(object: Fields): Conversion<readonly Cidr[]> {
  return converting((warn) =>
    listOf(fieldsOf(object, 'spec'), 'cidrs', 'spec.cidrs').flatMap((each) => {
      const parsed = parseNetwork(typeof each === 'string' ? each : '');
      if (!parsed.ok) warn(`spec.cidrs left out: ${parsed.error}`);
      return parsed.ok ? [parsed.value] : [];
    }),
  );
}
