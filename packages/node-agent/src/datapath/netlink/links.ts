/** The network interfaces of this node (linux/rtnetlink.h, linux/if_link.h, linux/if_arp.h). */
import { attributeOf, DUMP, message } from './messages.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './socket.ts';

const GET_LINK = 18;
/** What of ifinfomsg is longer than nfgenmsg. */
const REST_OF_HEADER = Buffer.alloc(12);
const HEADER = 16;
const NAME = 3;
const LINK_INFO = 18;
const KIND = 1;
const PEER_NETWORK = 37;

const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  /** `veth`, `vxlan`, …; undefined for most of what is hardware. */
  readonly kind: string | undefined;
  readonly isLoopback: boolean;
  /** Its packets have an Ethernet header. */
  readonly isEthernet: boolean;
  /** Its other end is in another network namespace. */
  readonly isPeerElsewhere: boolean;
}

/** Those of the network namespace in which it was opened. */
export class NetworkInterfaces {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  read(): readonly NetworkInterface[] {
    const found: NetworkInterface[] = [];
    this.#socket.askNow(message(GET_LINK, DUMP, 0, REST_OF_HEADER), ({ body }) => {
      const attributes = body.subarray(HEADER);
      const type = body.readUInt16LE(2);
      const info = attributeOf(attributes, LINK_INFO);
      const kind = info && attributeOf(info, KIND);
      found.push({
        index: body.readInt32LE(4),
        name: textOf(attributeOf(attributes, NAME) ?? Buffer.alloc(0)),
        kind: kind && textOf(kind),
        isLoopback: type === ARPHRD_LOOPBACK,
        isEthernet: type === ARPHRD_ETHER,
        isPeerElsewhere: attributeOf(attributes, PEER_NETWORK) !== undefined,
      });
    });
    return found;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

/** Without the NUL. */
const textOf = (bytes: Buffer): string => bytes.toString('latin1').replace(/\0.*$/s, '');
