/** ServiceCIDRs: the prefixes from which the API server takes cluster IPs. */
import { type Cidr, parseNetwork } from '../model/ip.ts';
import { converter } from './fields.ts';

export const convertServiceCidr = converter<readonly Cidr[]>((object, warn) =>
  object
    .object('spec')
    .list('cidrs')
    .flatMap((each) => {
      const parsed = parseNetwork(typeof each === 'string' ? each : '');
      if (!parsed.ok) warn(`spec.cidrs left out: ${parsed.error}`);
      return parsed.ok ? [parsed.value] : [];
    }),
);
