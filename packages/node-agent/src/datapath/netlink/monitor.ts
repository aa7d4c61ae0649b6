/**
 * What others change in netfilter, or another part of the kernel, as the kernel tells of it to whoever wants to know. Nothing wakes up: what
 * was told waits in the socket until somebody looks. What one owner of a port changes itself is left out.
 */
import { constants } from 'node:os';
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import koffi from 'koffi';
import { type Message, messagesOf } from './messages.ts';
import {
  type Libc,
  loadLibc,
  MSG_DONTWAIT,
  NETLINK_NETFILTER,
  NetlinkError,
  openNetlink,
  RECEIVE_BYTES,
  SLICE_MS,
  SOL_NETLINK,
  SOL_SOCKET,
  setOption,
} from './socket.ts';

const SO_ATTACH_FILTER = 26;
const SO_RCVBUFFORCE = 33;
const ADD_MEMBERSHIP = 1;

/** What others may change between two looks before something is lost, as far as the kernel lets us. */
const WAITING_BYTES = 4 << 20;

/** Classic BPF: nothing that comes from this port. All of one piece comes from one. */
function exceptFrom(port: number): Buffer {
  const program = Buffer.alloc(32);
  const instruction = (at: number, code: number, ifTrue: number, ifFalse: number, value: number): void => {
    program.writeUInt16LE(code, at);
    program.writeUInt8(ifTrue, at + 2);
    program.writeUInt8(ifFalse, at + 3);
    program.writeUInt32LE(value, at + 4);
  };
  // nlmsg_pid is in host order, and is loaded as if it were in network order.
  const swapped = Buffer.alloc(4);
  swapped.writeUInt32LE(port);
  instruction(0, 0x20, 0, 0, 12);
  instruction(8, 0x15, 0, 1, swapped.readUInt32BE());
  instruction(16, 0x06, 0, 0, 0);
  instruction(24, 0x06, 0, 0, 0xffffffff);
  return program;
}

export class NetlinkMonitor {
  readonly #libc: Libc = loadLibc();
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #fd: number;

  /** Throws a NetlinkError when this process may not listen. */
  constructor(group: number, ownPort: number, protocol = NETLINK_NETFILTER) {
    this.#fd = openNetlink(this.#libc, protocol);
    setOption(this.#libc, this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, WAITING_BYTES);
    this.#leaveOut(ownPort);
    if (setOption(this.#libc, this.#fd, SOL_NETLINK, ADD_MEMBERSHIP, group)) return;
    const errno = koffi.errno();
    this.close();
    throw new NetlinkError('listen to the kernel', errno);
  }

  /** Hands on what was told since the last time; false when some of it was lost. A message is good until the next one. */
  async drain(heard: (message: Message) => void): Promise<boolean> {
    let isComplete = true;
    for (let until = performance.now() + SLICE_MS; ; ) {
      const length = this.#libc.recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
      const errno = length < 0 ? koffi.errno() : 0;
      if (errno === constants.errno.ENOBUFS) isComplete = false;
      else if (errno !== 0) return isComplete;
      else for (const message of messagesOf(this.#buffer.subarray(0, length))) heard(message);
      if (performance.now() > until) {
        await nextTurn();
        until = performance.now() + SLICE_MS;
      }
    }
  }

  close(): void {
    if (this.#fd >= 0) this.#libc.close(this.#fd);
    this.#fd = -1;
  }

  #leaveOut(port: number): void {
    const program = exceptFrom(port);
    const header = Buffer.alloc(16);
    header.writeUInt16LE(program.length / 8, 0);
    header.writeBigUInt64LE(koffi.address(program), 8);
    this.#libc.setsockopt(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length);
  }
}
