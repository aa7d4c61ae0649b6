/** ServiceCIDRs: the prefixes from which the API server takes cluster IPs. */
import { type Cidr, parseNetwork } from '../model/ip.ts';
import type { Conversion } from './conversion.ts';
import { converting } from './fields.ts';
import type { Json } from './json.ts';

export function convertServiceCidr(json: Json): Conversion<readonly Cidr[]> {
  return converting(json, (object, warn) =>
    object
      .object('spec')
      .list('cidrs')
      .flatMap((each) => {
        const parsed = parseNetwork(typeof each === 'string' ? each : '');
        if (!parsed.ok) warn(`spec.cidrs left out: ${parsed.error}`);
        return parsed.ok ? [parsed.value] : [];
      }),
  );
}
