/**
 * Which backend ports serve a service port. Within a cluster names are matched exactly, as kube-proxy does: a Service has
 * one unnamed port or several named ones, and its slices repeat the names.
 *
 * Between clusters one side may have a name and the other none. Then the number of the port decides under which the other
 * cluster's Service is reached there (the entry's frontends tell it), and never the protocol alone.
 */
import type { BackendPort, RemoteService, ServicePort } from '../model/service.ts';

type Port = Pick<ServicePort, 'name' | 'protocol' | 'port'>;

export const isServedBy = (port: Port, offered: BackendPort): boolean =>
  offered.protocol === port.protocol && offered.name === port.name;

/** A test for the ports of this remote's backends. */
export function remotePortMatcher(port: Port, { frontendPorts }: RemoteService): (offered: BackendPort) => boolean {
  const sameNumber = new Set(
    frontendPorts
      .filter((there) => there.protocol === port.protocol && there.port === port.port)
      .filter((there) => (there.name === '') !== (port.name === ''))
      .map(({ name }) => name),
  );
  return (offered) =>
    offered.protocol === port.protocol && (offered.name === port.name || sameNumber.has(offered.name));
}
