/**
 * A netlink socket, of netfilter unless something else is asked for, through the C library. It stays in the network
 * namespace where it was opened. One call at a time. The kernel has answered a request when `send` returns, and goes on
 * with a dump as the answers are taken, so nothing here waits for anything: an answer that is not there was lost.
 *
 * A dump that the kernel marks as interrupted is taken as it is: any change of any table does that, and whether our own
 * tables were read completely is seen from what they hold.
 */

import { getSystemErrorName } from 'node:util';
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import koffi from 'koffi';
import { batch, DONE, ERROR, errnoOf, type Message, messagesOf } from './messages.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const MSG_DONTWAIT = 0x40;
export const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
/** Beyond what the system allows otherwise. */
const SO_SNDBUFFORCE = 32;
export const SOL_NETLINK = 270;
/** Errors do not quote the whole message. */
const NETLINK_CAP_ACK = 10;

/** Larger than what the kernel puts into one piece of a dump. */
export const RECEIVE_BYTES = 65_536;
export const SLICE_MS = 4;

type Call = (...args: unknown[]) => number;
export interface Libc {
  readonly socket: Call;
  readonly bind: Call;
  readonly getsockname: Call;
  readonly send: Call & { async: (...args: unknown[]) => void };
  readonly recv: Call;
  readonly setsockopt: Call;
  readonly close: Call;
}

let loaded: Libc | undefined;

export function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  const lib = koffi.load('libc.so.6');
  loaded = {
    socket: lib.func('int socket(int domain, int type, int protocol)'),
    bind: lib.func('int bind(int fd, const void *address, unsigned int len)'),
    getsockname: lib.func('int getsockname(int fd, _Out_ void *address, _Inout_ unsigned int *len)'),
    send: lib.func('long send(int fd, const void *buf, size_t len, int flags)'),
    recv: lib.func('long recv(int fd, _Out_ void *buf, size_t len, int flags)'),
    setsockopt: lib.func('int setsockopt(int fd, int level, int name, const void *value, unsigned int len)'),
    close: lib.func('int close(int fd)'),
  };
  return loaded;
}

/** What the kernel refused, and which message of a transaction it was, counted from 0. */
export class NetlinkError extends Error {
  readonly code: string;
  readonly at: number;

  constructor(what: string, errno: number, at = 0) {
    const code = getSystemErrorName(-errno);
    super(`Cannot ${what}: ${code}`);
    this.code = code;
    this.at = at;
  }
}

/** sockaddr_nl; the kernel chooses the port. */
const anyPort = (): Buffer => Buffer.from([AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** A file descriptor that has a port. */
export function openNetlink(libc: Libc, protocol = NETLINK_NETFILTER): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
  const address = anyPort();
  if (fd >= 0 && libc.bind(fd, address, address.length) >= 0) return fd;
  const errno = koffi.errno();
  if (fd >= 0) libc.close(fd);
  throw new NetlinkError('open a netlink socket', errno);
}

export function setOption(libc: Libc, fd: number, level: number, name: number, value: number): boolean {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return libc.setsockopt(fd, level, name, bytes, bytes.length) === 0;
}

function portOf(libc: Libc, fd: number): number {
  const address = anyPort();
  libc.getsockname(fd, address, [address.length]);
  return address.readUInt32LE(4);
}

export class NetlinkSocket {
  readonly #libc = loadLibc();
  readonly #buffer = Buffer.alloc(RECEIVE_BYTES);
  #fd: number;
  #sequence = 0;
  #sendBytes = 0;
  #underWay: Promise<unknown> = Promise.resolve();
  #received = 0;

  constructor(protocol = NETLINK_NETFILTER) {
    this.#fd = openNetlink(this.#libc, protocol);
    this.#set(SOL_NETLINK, NETLINK_CAP_ACK, 1);
  }

  /** By which the kernel tells others that a change is ours. */
  get port(): number {
    return portOf(this.#libc, this.#fd);
  }

  /** Bytes heard so far. */
  get received(): number {
    return this.#received;
  }

  /** The answers to a request; throws a NetlinkError when the kernel refuses it. A message is good until the next one. */
  async ask(request: Buffer, answered: (message: Message) => void): Promise<void> {
    let until = performance.now() + SLICE_MS;
    for (const _ of this.#answersTo(request, answered)) {
      if (performance.now() <= until) continue;
      await nextTurn();
      until = performance.now() + SLICE_MS;
    }
  }

  /** The same where there is little to hear, at once. */
  askNow(request: Buffer, answered: (message: Message) => void = () => {}): void {
    for (const _ of this.#answersTo(request, answered));
  }

  /** Stops after each piece of the answer but the last. */
  *#answersTo(request: Buffer, answered: (message: Message) => void): Generator<undefined> {
    const sequence = this.#take(1);
    request.writeUInt32LE(sequence, 8);
    if (this.#libc.send(this.#fd, request, request.length, MSG_DONTWAIT) < 0) {
      throw new NetlinkError('ask the kernel', koffi.errno());
    }
    const isDump = (request.readUInt16LE(6) & 0x300) === 0x300;
    for (;;) {
      const answer = this.#receive();
      if (answer === undefined) throw new Error('Cannot hear the kernel: an answer was lost');
      for (const message of messagesOf(answer)) {
        if (message.sequence !== sequence) continue;
        if (message.type === DONE || message.type === ERROR) {
          const errno = errnoOf(message);
          if (errno > 0) throw new NetlinkError('read from the kernel', errno);
          return;
        }
        answered(message);
        if (!isDump) return;
      }
      yield;
    }
  }

  /** One transaction. On a thread of its own, since the kernel makes it wait for those of others. */
  async transact(subsystem: number, messages: readonly Buffer[]): Promise<void> {
    // Two more mark its beginning and its end.
    const count = messages.length + 2;
    const first = this.#take(count);
    const bytes = batch(subsystem, messages, first);
    this.#makeRoom(bytes.length);
    const sent = new Promise<void>((resolve, reject) => {
      this.#libc.send.async(this.#fd, bytes, bytes.length, MSG_DONTWAIT, (error: Error | null, value: number) => {
        if (error) reject(error);
        else if (value < 0) reject(new Error(`Cannot send ${bytes.length} bytes to the kernel`));
        else resolve();
      });
    });
    this.#underWay = sent.catch(() => undefined);
    await sent;
    let acknowledged = false;
    let refusal: NetlinkError | undefined;
    for (let answer = this.#receive(); answer !== undefined; answer = this.#receive()) {
      for (const message of messagesOf(answer)) {
        if (message.sequence < first || message.sequence >= first + count || message.type !== ERROR) continue;
        const errno = errnoOf(message);
        if (errno === 0) acknowledged = true;
        else refusal ??= new NetlinkError('change the kernel’s tables', errno, message.sequence - first - 1);
      }
    }
    if (refusal !== undefined) throw refusal;
    if (!acknowledged) throw new Error('Cannot hear the kernel: an answer was lost');
  }

  /** Once: a second time the number may be somebody else's. */
  async close(): Promise<void> {
    await this.#underWay;
    if (this.#fd >= 0) this.#libc.close(this.#fd);
    this.#fd = -1;
  }

  /** The first of so many sequence numbers. */
  #take(count: number): number {
    if (this.#sequence > 2 ** 31) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /** One transaction must fit into the socket's buffer. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#sendBytes) return;
    if (!this.#set(SOL_SOCKET, SO_SNDBUFFORCE, bytes + 4096)) this.#set(SOL_SOCKET, SO_SNDBUF, bytes + 4096);
    this.#sendBytes = bytes;
  }

  #set(level: number, name: number, value: number): boolean {
    return setOption(this.#libc, this.#fd, level, name, value);
  }

  /** One piece of what the kernel said; undefined when there is no more. */
  #receive(): Buffer | undefined {
    const length = this.#libc.recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
    if (length < 0) {
      const code = getSystemErrorName(-koffi.errno());
      if (code === 'EAGAIN') return undefined;
      throw new Error(`Cannot hear the kernel: ${code}`);
    }
    this.#received += length;
    return this.#buffer.subarray(0, length);
  }
}
