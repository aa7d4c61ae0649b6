/** The network interfaces of this node (linux/rtnetlink.h, linux/if_link.h, linux/if_arp.h). */
import { attributeOf, DUMP, message } from './messages.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './socket.ts';

const GET_LINK = 18;
/** What of ifinfomsg is longer than nfgenmsg. */
const REST_OF_HEADER = Buffer.alloc(12);
const HEADER = 16;
const HARDWARE_ADDRESS = 1;
const NAME = 3;
const MASTER = 10;
const LINK_INFO = 18;
const KIND = 1;
const PEER_NETWORK = 37;

const FLAGS = { up: 0x1, broadcast: 0x2, running: 0x40, noArp: 0x80 };
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
  /** Switched on, and what it is connected to answers. */
  readonly isUp: boolean;
  /** Its neighbours are asked for by ARP or neighbor solicitations, which reach all of them. */
  readonly hasNeighbors: boolean;
  /** The index of the bridge, bond or VRF that it is a part of. */
  readonly master: number | undefined;
  /** As `02:00:5e:00:53:01`; empty where it has none. */
  readonly mac: string;
}

/** Those of the network namespace in which it was opened. */
export class NetworkInterfaces {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  read(): readonly NetworkInterface[] {
    const found: NetworkInterface[] = [];
    this.#socket.askNow(message(GET_LINK, DUMP, 0, REST_OF_HEADER), ({ body }) => {
      const attributes = body.subarray(HEADER);
      const type = body.readUInt16LE(2);
      const flags = body.readUInt32LE(8);
      const info = attributeOf(attributes, LINK_INFO);
      const kind = info && attributeOf(info, KIND);
      found.push({
        index: body.readInt32LE(4),
        name: textOf(attributeOf(attributes, NAME) ?? Buffer.alloc(0)),
        kind: kind && textOf(kind),
        isLoopback: type === ARPHRD_LOOPBACK,
        isEthernet: type === ARPHRD_ETHER,
        isPeerElsewhere: attributeOf(attributes, PEER_NETWORK) !== undefined,
        isUp: (flags & FLAGS.up) !== 0 && (flags & FLAGS.running) !== 0,
        hasNeighbors: (flags & FLAGS.broadcast) !== 0 && (flags & FLAGS.noArp) === 0,
        master: attributeOf(attributes, MASTER)?.readUInt32LE(),
        mac: type === ARPHRD_ETHER ? macText(attributeOf(attributes, HARDWARE_ADDRESS)) : '',
      });
    });
    return found;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

const macText = (bytes: Buffer | undefined): string =>
  (bytes ?? Buffer.alloc(0)).toString('hex').replace(/..(?=.)/g, '$&:');

/** Without the NUL. */
const textOf = (bytes: Buffer): string => bytes.toString('latin1').replace(/\0.*$/s, '');
