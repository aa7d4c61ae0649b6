/**
 * Whether another program of this node speaks BGP to the routers that FRR speaks to: MetalLB's FRR, Cilium's agent. A router
 * takes one session from an address, so either of the two is refused, or they take it from each other by turns. Seen by the
 * connections of this network namespace that FRR does not know as its own.
 */
import type { IpAddress } from '@tombolo/shared/model/ip.ts';
import { AF_INET, AF_INET6 } from '../../datapath/netlink/messages.ts';
import { NetlinkSocket } from '../../datapath/netlink/socket.ts';
import { connectionOf, connectionsTo, NETLINK_SOCK_DIAG } from '../../datapath/sockets/inet-diag.ts';

/** A TCP connection for BGP, whoever has it. */
export interface BgpConnection {
  readonly router: IpAddress;
  readonly routerPort: number;
  readonly ownPort: number;
  /** The kernel's name of the socket. */
  readonly cookie: bigint;
}

export interface Router {
  readonly address: IpAddress;
  readonly port: number;
}

const BGP_PORT = 179;
/** For the kernel, in a filter. */
const ANY_PORT = -1;

/** Of this process's network namespace, or of that in which `open` makes the socket. Rejects when the kernel does not tell. */
export async function bgpConnections(
  routers: readonly Router[],
  open = (): NetlinkSocket => new NetlinkSocket(NETLINK_SOCK_DIAG),
): Promise<readonly BgpConnection[]> {
  if (routers.length === 0) return [];
  const ports = new Map(routers.map(({ address, port }) => [address, port]));
  const places = routers.map(({ address }) => ({ protocol: 'TCP' as const, address, port: ANY_PORT }));
  const found: BgpConnection[] = [];
  const socket = open();
  try {
    for (const family of [AF_INET, AF_INET6])
      await socket.ask(connectionsTo(family, 'TCP', places), (message) => {
        const connection = connectionOf(message, 'TCP');
        if (!connection) return;
        const { address: router, port: routerPort, cookie, id } = connection;
        const ownPort = id.readUInt16BE(0);
        if (ownPort === BGP_PORT || routerPort === ports.get(router))
          found.push({ router, routerPort, ownPort, cookie });
      });
  } finally {
    await socket.close();
  }
  return found;
}

/** Which connections are those of somebody else. One look does not tell: FRR may be about to open or to give up one. */
export class RivalSpeakers {
  #suspects: ReadonlySet<bigint> = new Set();
  #rivals: readonly BgpConnection[] = [];

  get rivals(): readonly BgpConnection[] {
    return this.#rivals;
  }

  /** `own`: those that FRR says it has. */
  look(connections: readonly BgpConnection[], own: readonly Omit<BgpConnection, 'cookie'>[]): void {
    const placeOf = ({ router, routerPort, ownPort }: Omit<BgpConnection, 'cookie'>): string =>
      `${router} ${routerPort} ${ownPort}`;
    const known = new Set(own.map(placeOf));
    const strange = connections.filter((each) => !known.has(placeOf(each)));
    this.#rivals = strange.filter(({ cookie }) => this.#suspects.has(cookie));
    this.#suspects = new Set(strange.map(({ cookie }) => cookie));
  }
}
