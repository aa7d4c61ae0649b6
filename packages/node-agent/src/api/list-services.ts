/** One picture of the table as a sequence of bounded messages. Made while they are sent, so only one is in memory. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { TableSnapshot } from '@tombolo/shared/model/service-table.ts';
import { filteredEntries, type ServiceFilter } from './service-filter.ts';
import { MESSAGE_BYTES, serviceParts } from './service-message.ts';

export function* listServices(table: TableSnapshot, filter: ServiceFilter): Generator<api.ListServicesResponse> {
  const { revision } = table;
  let services: api.Service[] = [];
  let bytes = 0;
  for (const entry of filteredEntries(filter, table)) {
    for (const part of serviceParts(entry)) {
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
