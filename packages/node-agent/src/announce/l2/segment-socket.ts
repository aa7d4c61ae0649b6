/**
 * Sends frames at network interfaces, and joins groups there, through the C library: Node has no sockets for it. It stays in
 * the network namespace where it was opened. Nothing is received: that is the responder's.
 */
import { constants } from 'node:os';
import { bytesOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import koffi from 'koffi';
import { errnoName } from '../../datapath/ebpf/syscall.ts';

const [AF_INET6, AF_PACKET] = [10, 17];
const [SOCK_DGRAM, SOCK_RAW, SOCK_CLOEXEC] = [2, 3, 0o2000000];
const MSG_DONTWAIT = 0x40;
const IPPROTO_IPV6 = 41;
const [JOIN_GROUP, LEAVE_GROUP] = [20, 21];
const SOCKADDR_LL = 20;

type Call = (...args: unknown[]) => number;

function openLibc() {
  const lib = koffi.load('libc.so.6');
  return {
    socket: lib.func('int socket(int domain, int type, int protocol)') as Call,
    sendto: lib.func(
      'long sendto(int fd, const void *buf, size_t len, int flags, const void *address, unsigned int addressLength)',
    ) as Call,
    setsockopt: lib.func('int setsockopt(int fd, int level, int name, const void *value, unsigned int len)') as Call,
    close: lib.func('int close(int fd)') as Call,
  };
}

export class SegmentSocket {
  readonly #libc = openLibc();
  /** Of protocol 0: it hears nothing. */
  readonly #frames: number;
  /** The kernel leaves its groups when it is closed, and when the process dies. */
  readonly #groups: number;

  /** Throws when this process may not (CAP_NET_RAW). */
  constructor() {
    this.#frames = this.#open(AF_PACKET, SOCK_RAW, 'send frames (CAP_NET_RAW)');
    this.#groups = this.#open(AF_INET6, SOCK_DGRAM, 'join groups');
  }

  /** At the interface of this index. False when it cannot be sent there now. */
  send(index: number, frame: Buffer): boolean {
    const address = Buffer.alloc(SOCKADDR_LL);
    address.writeUInt16LE(AF_PACKET, 0);
    frame.copy(address, 2, 12, 14);
    address.writeInt32LE(index, 4);
    address.writeUInt8(6, 11);
    frame.copy(address, 12, 0, 6);
    const sent = this.#libc.sendto(this.#frames, frame, frame.length, MSG_DONTWAIT, address, address.length);
    return sent === frame.length;
  }

  /** So that the interface, and switches on the way, let through what is sent to the group. Returns an error's name, or ''. */
  join(index: number, group: IpAddress): string {
    return this.#membership(JOIN_GROUP, index, group);
  }

  leave(index: number, group: IpAddress): void {
    this.#membership(LEAVE_GROUP, index, group);
  }

  close(): void {
    this.#libc.close(this.#frames);
    this.#libc.close(this.#groups);
  }

  #membership(option: number, index: number, group: IpAddress): string {
    const request = Buffer.alloc(20);
    request.set(bytesOf(group), 0);
    request.writeInt32LE(index, 16);
    if (this.#libc.setsockopt(this.#groups, IPPROTO_IPV6, option, request, request.length) === 0) return '';
    const errno = koffi.errno();
    // Joined already: it is the same group for several addresses.
    return errno === constants.errno.EADDRINUSE ? '' : errnoName(errno);
  }

  #open(family: number, type: number, what: string): number {
    const fd = this.#libc.socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error(`Cannot ${what}: ${errnoName(koffi.errno())}`);
    return fd;
  }
}
