/**
 * What another cluster says, as values of the model. Addresses of frontends, labels and selector are not taken over: only
 * the local Service decides what is served here.
 */
import { type IpAddress, parseIp } from '../model/ip.ts';
import {
  type BackendPort,
  type Origin,
  type Protocol,
  type RemoteBackend,
  type RemoteService,
  serviceKey,
} from '../model/service.ts';
import { compareUtf8 } from './go-json.ts';
import { TERMINATING_LABEL, type WirePorts, type WireService } from './service.ts';

/** Backends sorted by the text of their address, their ports by name. An address spelt in two ways is one backend with the ports of both. */
export function remoteServiceFromWire(wire: WireService, origin: Origin): RemoteService {
  const backends = new Map<IpAddress, RemoteBackend>();
  for (const [text, ports] of wire.backends ?? []) {
    const address = parseIp(detached(text));
    if (!address.ok) continue;
    const known = backends.get(address.value);
    backends.set(address.value, {
      address: address.value,
      ports: joinPorts(known?.ports ?? [], backendPorts(ports)),
      zone: detached(wire.zones?.get(text)?.zone || known?.zone || ''),
    });
  }
  return {
    key: serviceKey(wire.namespace, wire.name),
    shared: wire.shared,
    terminating: wire.labels?.get(TERMINATING_LABEL) === 'true',
    frontendPorts: joinPorts([], [...(wire.frontends?.values() ?? [])].flatMap(backendPorts)),
    backends: [...backends.values()].sort((a, b) => compareUtf8(a.address, b.address)),
    origin,
  };
}

/** A part of a longer text would keep all of it in memory: that of a whole entry, for as long as the backend is known. */
const detached = (text: string): string => Buffer.from(text).toString();

const SERVED: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** ANY stands for every protocol. NONE, and what we do not know, can be used by no frontend and is left out. */
function protocolsOf(text: string): readonly Protocol[] {
  return text === 'ANY' ? SERVED : SERVED.filter((protocol) => protocol === text);
}

function backendPorts(ports: WirePorts): readonly BackendPort[] {
  return [...(ports ?? [])].flatMap(([name, { protocol, port }]) =>
    protocolsOf(protocol).map((each) => ({ name: detached(name), protocol: each, port })),
  );
}

export const portsFromWire = (ports: WirePorts): readonly BackendPort[] => joinPorts([], backendPorts(ports));

/** Sorted by name, each once. */
export function joinPorts(a: readonly BackendPort[], b: readonly BackendPort[]): readonly BackendPort[] {
  const joined = new Map([...a, ...b].map((port) => [`${port.port} ${port.protocol} ${port.name}`, port]));
  return [...joined.values()].sort(
    (x, y) => compareUtf8(x.name, y.name) || x.port - y.port || compareUtf8(x.protocol, y.protocol),
  );
}
