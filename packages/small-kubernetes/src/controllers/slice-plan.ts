/**
 * From the endpoints of a Service and the slices there are to the slices there shall be, with as few writes as
 * possible: an endpoint stays in its slice, new ones fill slices with room, and only then new slices are made. Pure.
 */
import type { AddressType, Endpoint, EndpointPort, ServiceEndpoint } from './service-endpoints.ts';

export const MOST_ENDPOINTS = 100;

/** The contents of a slice; `name` is undefined for one that is to be made. */
export interface PlannedSlice {
  readonly name: string | undefined;
  readonly addressType: AddressType;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SlicePlan {
  readonly slices: readonly PlannedSlice[];
  /** Names of slices that are not needed any more. */
  readonly remove: readonly string[];
}

interface Draft {
  readonly name: string | undefined;
  readonly endpoints: Endpoint[];
}

export function planSlices(
  existing: readonly (PlannedSlice & { readonly name: string })[],
  wanted: readonly ServiceEndpoint[],
  addressTypes: readonly AddressType[],
): SlicePlan {
  const slices = addressTypes.flatMap((addressType) => {
    const own = existing.filter((slice) => slice.addressType === addressType);
    return planFamily(
      addressType,
      own,
      wanted.filter((endpoint) => endpoint.addressType === addressType),
    );
  });
  const kept = new Set(slices.map(({ name }) => name));
  return { slices, remove: existing.map(({ name }) => name).filter((name) => !kept.has(name)) };
}

function planFamily(
  addressType: AddressType,
  existing: readonly (PlannedSlice & { readonly name: string })[],
  wanted: readonly ServiceEndpoint[],
): PlannedSlice[] {
  const groups = Map.groupBy(wanted, ({ ports }) => JSON.stringify(ports));
  // A Service without endpoints keeps one empty slice, so that readers see that it was looked at.
  if (groups.size === 0) return [{ name: existing[0]?.name, addressType, ports: [], endpoints: [] }];
  // A slice may pass from one set of ports to another only when nobody else needs it, as the empty one.
  const unused = existing.filter(({ ports }) => !groups.has(JSON.stringify(ports))).map(({ name }) => name);
  return [...groups].flatMap(([key, members]) => {
    const ports = members[0]?.ports ?? [];
    const own = existing.filter((slice) => JSON.stringify(slice.ports) === key);
    return fill(
      own,
      members.map(({ endpoint }) => endpoint),
      unused,
    ).map((draft) => ({ ...draft, addressType, ports }));
  });
}

function fill(
  existing: readonly (PlannedSlice & { readonly name: string })[],
  wanted: readonly Endpoint[],
  unused: string[],
): Draft[] {
  const missing = new Map(wanted.map((endpoint) => [endpoint.targetRef.uid, endpoint]));
  const drafts: Draft[] = existing.map(({ name, endpoints }) => {
    const kept = endpoints.slice(0, MOST_ENDPOINTS).flatMap(({ targetRef }) => {
      const endpoint = missing.get(targetRef.uid);
      missing.delete(targetRef.uid);
      return endpoint ? [endpoint] : [];
    });
    return { name, endpoints: kept };
  });
  // The fullest first, so that few slices are touched and half-empty ones can run dry.
  const withRoom = drafts.filter((d) => d.endpoints.length > 0).sort((a, b) => b.endpoints.length - a.endpoints.length);
  const empty = drafts.filter((d) => d.endpoints.length === 0);
  let at = 0;
  for (const endpoint of missing.values()) {
    while (withRoom[at] && (withRoom[at]?.endpoints.length ?? 0) >= MOST_ENDPOINTS) at++;
    const next: Draft = withRoom[at] ?? empty.shift() ?? { name: unused.shift(), endpoints: [] };
    if (!withRoom[at]) withRoom.push(next);
    next.endpoints.push(endpoint);
  }
  return withRoom;
}
