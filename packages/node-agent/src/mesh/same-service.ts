/**
 * Whether two words of a cluster about one Service say the same. Not whether they are of the same revision: an exporter
 * that starts writes all that it has anew.
 */
import type { BackendPort, RemoteService } from '@tombolo/shared/model/service.ts';

export const sameService = (a: RemoteService, b: RemoteService): boolean =>
  a.shared === b.shared &&
  a.terminating === b.terminating &&
  a.backends.length === b.backends.length &&
  samePorts(a.frontendPorts, b.frontendPorts) &&
  a.backends.every((backend, i) => {
    const other = b.backends[i];
    return backend.address === other?.address && backend.zone === other.zone && samePorts(backend.ports, other.ports);
  });

const samePorts = (a: readonly BackendPort[], b: readonly BackendPort[]): boolean =>
  a === b ||
  (a.length === b.length &&
    a.every((port, i) => port.name === b[i]?.name && port.port === b[i].port && port.protocol === b[i].protocol));
