/** One picture of the table as a sequence of bounded messages. Made while they are sent, so only one is in memory. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { TableReader } from '@tombolo/shared/model/service-table.ts';
import { chunked } from './chunks.ts';
import { filteredServices } from './service-filter.ts';
import { MESSAGE_BYTES, type ServicePart, serviceParts } from './service-message.ts';

export function* listServices(table: TableReader, filter: api.ServiceFilter): Generator<api.ListServicesResponse> {
  const snapshot = table.snapshot();
  function* parts(): Generator<ServicePart> {
    for (const facts of filteredServices(filter, snapshot)) yield* serviceParts(table.explain(facts));
  }
  for (const { items } of chunked(parts(), ({ bytes }) => bytes, MESSAGE_BYTES)) {
    yield { revision: snapshot.revision, services: items.map(({ service }) => service) };
  }
}
