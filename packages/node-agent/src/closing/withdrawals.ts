/** Which backends of a Service nobody offers any more, from what was known of it before and is now. Pure. */
import type { ClusterName } from '@tombolo/shared/model/cluster.ts';
import type { BackendPort, LocalEndpoint, RemoteBackend } from '@tombolo/shared/model/service.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { type Place, placeId } from '../datapath/sockets/inet-diag.ts';

/** One port of a backend that was offered, and who can say whether it is still there. */
export interface Withdrawn extends Place {
  readonly owner:
    | { readonly kind: 'pod'; readonly namespace: string; readonly name: string }
    | { readonly kind: 'cluster'; readonly name: ClusterName };
}

/** What has an owner; and no port of SCTP, whose sockets are not ours. */
export function withdrawnFrom(before: ServiceFacts, after: ServiceFacts | undefined): readonly Withdrawn[] {
  const kept = new Set<unknown>(after ? sourcesOf(after).map(({ source }) => source) : []);
  const missing = sourcesOf(before).filter(({ source }) => !kept.has(source));
  if (missing.length === 0) return [];
  const offered = after ? placesIn(after) : new Set();
  return missing.flatMap(({ source, owner }) =>
    placesOf(source)
      .filter((place) => !offered.has(placeId(place)))
      .flatMap((place) => (owner ? [{ ...place, owner }] : [])),
  );
}

/** What is offered, by `placeId`. */
export const placesIn = (facts: ServiceFacts): ReadonlySet<string> =>
  new Set(sourcesOf(facts).flatMap(({ source }) => placesOf(source).map(placeId)));

interface Source {
  readonly source: LocalEndpoint | RemoteBackend;
  readonly owner: Withdrawn['owner'] | undefined;
}

function sourcesOf({ key, endpoints, remotes }: ServiceFacts): readonly Source[] {
  const { namespace } = splitServiceKey(key);
  return [
    ...endpoints.map((source): Source => {
      const owner = source.pod === undefined ? undefined : ({ kind: 'pod', namespace, name: source.pod } as const);
      return { source, owner };
    }),
    ...remotes.flatMap(({ cluster, service }) => {
      const owner = { kind: 'cluster', name: cluster.name } as const;
      return service.backends.map((source): Source => ({ source, owner }));
    }),
  ];
}

const placesOf = ({ address, ports }: LocalEndpoint | RemoteBackend): readonly Place[] =>
  ports.flatMap(({ protocol, port }) => (isConnected(protocol) ? [{ protocol, address, port }] : []));

const isConnected = (protocol: BackendPort['protocol']): protocol is Place['protocol'] => protocol !== 'SCTP';
