/** The addresses of this node's interfaces, those that are down among them (linux/rtnetlink.h, linux/if_addr.h). */
import { readFile } from 'node:fs/promises';
import { type IpAddress, ipFromBytes } from '@tombolo/shared/model/ip.ts';
import { attributeOf, DUMP, message } from './messages.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './socket.ts';

const GET_ADDRESS = 22;
/** What of ifaddrmsg is longer than nfgenmsg. */
const REST_OF_HEADER = Buffer.alloc(4);
const HEADER = 8;
const ADDRESS = 1;
const LOCAL = 2;

export interface InterfaceAddress {
  /** Of the interface. */
  readonly index: number;
  readonly address: IpAddress;
}

/** Those of the network namespace in which it was opened. */
export class InterfaceAddresses {
  readonly #socket = new NetlinkSocket(NETLINK_ROUTE);

  async read(): Promise<readonly InterfaceAddress[]> {
    const found: InterfaceAddress[] = [];
    await this.#socket.ask(message(GET_ADDRESS, DUMP, 0, REST_OF_HEADER), ({ body }) => {
      const attributes = body.subarray(HEADER);
      // At a point-to-point link the other is the peer's.
      const bytes = attributeOf(attributes, LOCAL) ?? attributeOf(attributes, ADDRESS);
      if (bytes) found.push({ index: body.readUInt32LE(4), address: ipFromBytes(bytes) });
    });
    return found;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

/** kube-proxy in its IPVS mode gives this interface the address of every Service; undefined where there is none. */
export async function indexOfIpvs(): Promise<number | undefined> {
  const index = Number(await readFile('/sys/class/net/kube-ipvs0/ifindex', 'utf8').catch(() => 0));
  return index || undefined;
}
