/**
 * Connection tracking over netlink: finds and deletes entries. UDP has no end of a connection, so a client that keeps
 * its port would be sent to a backend that is gone for as long as it keeps sending. The socket stays in the network
 * namespace where it was opened.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import koffi from 'koffi';
import {
  CONNTRACK_ENTRY,
  type ConntrackEntry,
  deleteRequest,
  errnoOf,
  listRequest,
  messagesOf,
  NETLINK_DONE,
  NETLINK_ERROR,
  parseEntry,
} from './conntrack-messages.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const NETLINK_NETFILTER = 12;
const ENOENT = 2;
/** Larger than what the kernel puts into one datagram of a dump. */
const RECEIVE_BYTES = 65536;
/** Let others run after this many datagrams: a busy node has hundreds of thousands of entries. */
const DATAGRAMS_A_TURN = 16;

type Call = (...args: unknown[]) => number;
interface Libc {
  readonly socket: Call;
  readonly send: Call;
  readonly recv: Call;
  readonly close: Call;
}

let loaded: Libc | undefined;

function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  const lib = koffi.load('libc.so.6');
  loaded = {
    socket: lib.func('int socket(int domain, int type, int protocol)'),
    send: lib.func('long send(int fd, const void *buf, size_t len, int flags)'),
    recv: lib.func('long recv(int fd, _Out_ void *buf, size_t len, int flags)'),
    close: lib.func('int close(int fd)'),
  };
  return loaded;
}

export class Conntrack {
  readonly #libc = loadLibc();
  #fd: number;
  #sequence = 0;

  constructor() {
    this.#fd = this.#libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER);
    if (this.#fd < 0) throw new Error(`Cannot open connection tracking: errno is ${String(koffi.errno())}`);
  }

  /** Deletes the entries of a family that `stale` picks; answers how many. */
  async deleteWhere(family: 4 | 6, stale: (entry: ConntrackEntry) => boolean): Promise<number> {
    const entries = (await this.#list(family)).filter(stale);
    for (const entry of entries) {
      this.#send(deleteRequest(entry, ++this.#sequence));
      for (const message of messagesOf(this.#receive())) {
        const errno = message.type === NETLINK_ERROR ? errnoOf(message) : 0;
        if (errno !== 0 && errno !== ENOENT)
          throw new Error(`Cannot delete a tracked connection: errno is ${String(errno)}`);
      }
    }
    return entries.length;
  }

  /** Once: a second time the number may be somebody else's. */
  close(): void {
    if (this.#fd >= 0) this.#libc.close(this.#fd);
    this.#fd = -1;
  }

  async #list(family: 4 | 6): Promise<ConntrackEntry[]> {
    const entries: ConntrackEntry[] = [];
    this.#send(listRequest(family, ++this.#sequence));
    for (let datagrams = 1; ; datagrams += 1) {
      for (const message of messagesOf(this.#receive())) {
        if (message.type === NETLINK_DONE) return entries;
        if (message.type === NETLINK_ERROR) {
          throw new Error(`Cannot list tracked connections: errno is ${String(errnoOf(message))}`);
        }
        const entry = message.type === CONNTRACK_ENTRY ? parseEntry(message.body) : undefined;
        if (entry !== undefined) entries.push(entry);
      }
      if (datagrams % DATAGRAMS_A_TURN === 0) await nextTurn();
    }
  }

  #send(message: Buffer): void {
    if (this.#libc.send(this.#fd, message, message.length, 0) < 0) {
      throw new Error(`Cannot ask connection tracking: errno is ${String(koffi.errno())}`);
    }
  }

  #receive(): Buffer {
    const buffer = Buffer.alloc(RECEIVE_BYTES);
    const length = this.#libc.recv(this.#fd, buffer, buffer.length, 0);
    if (length < 0) throw new Error(`Cannot hear connection tracking: errno is ${String(koffi.errno())}`);
    return buffer.subarray(0, length);
  }
}
