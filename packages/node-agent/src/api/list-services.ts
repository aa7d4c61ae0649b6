/** One picture of the table as a sequence of bounded messages. Made while they are sent, so only one is in memory. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { filteredServices, type ServiceFilter } from './service-filter.ts';
import { MESSAGE_BYTES, serviceParts } from './service-message.ts';
import type { ApiSource } from './source.ts';

export function* listServices(source: ApiSource, filter: ServiceFilter): Generator<api.ListServicesResponse> {
  const table = source.snapshot();
  const { revision } = table;
  let services: api.Service[] = [];
  let bytes = 0;
  for (const facts of filteredServices(filter, table)) {
    for (const part of serviceParts(source.explain(facts))) {
      if (bytes + part.bytes > MESSAGE_BYTES && services.length > 0) {
        yield { revision, services };
        services = [];
        bytes = 0;
      }
      services.push(part.service);
      bytes += part.bytes;
    }
  }
  yield { revision, services };
}
