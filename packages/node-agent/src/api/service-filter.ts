/** Which Services a caller asked for. Pure. */
import type { ServiceFilter } from '@tombolo/proto/generated/tombolo-v1.ts';
import { type ServiceKey, serviceKey, splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableSnapshot } from '@tombolo/shared/model/service-table.ts';

/** What a request without a filter asks for. */
export const EVERYTHING: ServiceFilter = { namespace: '', name: '', globalOnly: false };

/** Whether the filter can ever let this Service through, whatever becomes of it. */
export function matchesKey({ namespace, name }: ServiceFilter, key: ServiceKey): boolean {
  const parts = splitServiceKey(key);
  return (namespace === '' || parts.namespace === namespace) && (name === '' || parts.name === name);
}

export const matchesFacts = (filter: ServiceFilter, { service }: ServiceFacts): boolean =>
  !filter.globalOnly || service?.global === true;

/** Sorted by key. A filter that names one Service does not look at the others. */
export function filteredServices(filter: ServiceFilter, { services }: TableSnapshot): readonly ServiceFacts[] {
  const { namespace, name } = filter;
  const keys =
    namespace !== '' && name !== ''
      ? [serviceKey(namespace, name)]
      : [...services.keys()].filter((key) => matchesKey(filter, key)).sort();
  return keys
    .map((key) => services.get(key))
    .filter((facts) => facts !== undefined)
    .filter((facts) => matchesFacts(filter, facts));
}
