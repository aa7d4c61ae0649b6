/** Connection tracking over netlink: finds and deletes entries. What is not wanted is left out by the kernel. */
import { NetlinkError, NetlinkSocket } from '../netlink/socket.ts';
import { type ConntrackEntry, deleteRequest, type FlowFilter, listRequest, parseEntry } from './conntrack-messages.ts';

/** So many are kept in mind at a time; more are found when it is looked again. */
const AT_ONCE = 10_000;

export class Conntrack {
  readonly #socket = new NetlinkSocket();

  /** Deletes the entries of a family that `isStale` picks out of those that the filter leaves; answers how many. */
  async deleteWhere(family: 4 | 6, filter: FlowFilter, isStale: (entry: ConntrackEntry) => boolean): Promise<number> {
    for (let deleted = 0; ; ) {
      const found: ConntrackEntry[] = [];
      await this.#socket.ask(listRequest(family, filter), (message) => {
        const entry = found.length < AT_ONCE ? parseEntry(message) : undefined;
        if (entry !== undefined && isStale(entry)) found.push(entry);
      });
      for (const entry of found) await this.#delete(entry);
      deleted += found.length;
      if (found.length < AT_ONCE) return deleted;
    }
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  /** It may have ended meanwhile. */
  async #delete(entry: ConntrackEntry): Promise<void> {
    try {
      await this.#socket.ask(deleteRequest(entry), () => {});
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === 'ENOENT')) throw error;
    }
  }
}
