/**
 * What another cluster says, as values of the model. Addresses of frontends, labels and selector are not taken over: only
 * the local Service decides what is served here.
 */
import { type Cidr, type IpAddress, parseCidr, parseIp } from '../model/ip.ts';
import {
  type BackendPort,
  type Origin,
  type Protocol,
  type RemoteBackend,
  type RemoteService,
  serviceKey,
} from '../model/service.ts';
import { compareUtf8 } from './go-json.ts';
import type { WireNode } from './node.ts';
import { goPrefixText } from './prefix.ts';
import { TERMINATING_LABEL, type WirePorts, type WireService } from './service.ts';

/** Backends sorted by the text of their address, their ports by name. An address spelt in two ways is one backend with the ports of both. */
export function remoteServiceFromWire(wire: WireService, origin: Origin): RemoteService {
  const backends = new Map<IpAddress, RemoteBackend>();
  for (const [text, ports] of wire.backends ?? []) {
    const address = parseIp(text);
    if (!address.ok) continue;
    const known = backends.get(address.value);
    backends.set(address.value, {
      address: address.value,
      ports: joinPorts(known?.ports ?? [], backendPorts(ports)),
      zone: wire.zones?.get(text)?.zone || known?.zone || '',
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

const SERVED: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** ANY stands for every protocol. NONE, and what we do not know, can be used by no frontend and is left out. */
function protocolsOf(text: string): readonly Protocol[] {
  return text === 'ANY' ? SERVED : SERVED.filter((protocol) => protocol === text);
}

function backendPorts(ports: WirePorts): readonly BackendPort[] {
  return [...(ports ?? [])].flatMap(([name, { protocol, port }]) =>
    protocolsOf(protocol).map((each) => ({ name, protocol: each, port })),
  );
}

function joinPorts(a: readonly BackendPort[], b: readonly BackendPort[]): readonly BackendPort[] {
  const joined = new Map([...a, ...b].map((port) => [`${port.port} ${port.protocol} ${port.name}`, port]));
  return [...joined.values()].sort(
    (x, y) => compareUtf8(x.name, y.name) || x.port - y.port || compareUtf8(x.protocol, y.protocol),
  );
}

/** All pod prefixes of a node; those with host bits set or of no use as a prefix are left out. */
export function podCidrsFromWire(node: WireNode): readonly Cidr[] {
  const prefixes = [
    node.ipv4AllocCidr,
    ...(node.ipv4SecondaryAllocCidrs ?? []),
    node.ipv6AllocCidr,
    ...(node.ipv6SecondaryAllocCidrs ?? []),
  ];
  return prefixes.flatMap((prefix) => {
    const parsed = prefix === null ? undefined : parseCidr(goPrefixText(prefix));
    return parsed?.ok ? [parsed.value] : [];
  });
}

/** The addresses by which a node can be reached. */
export const nodeAddressesFromWire = (node: WireNode): readonly IpAddress[] =>
  (node.addresses ?? []).flatMap(({ ip }) => (ip === '' ? [] : [ip]));
