/**
 * Connection tracking over netlink: finds and deletes entries. UDP has no end of a connection, so a client that keeps
 * its port would be sent to a backend that is gone for as long as it keeps sending.
 */
import { NetlinkError, NetlinkSocket } from '../netlink/socket.ts';
import { type ConntrackEntry, deleteRequest, listRequest, parseEntry } from './conntrack-messages.ts';

export class Conntrack {
  readonly #socket = new NetlinkSocket();

  /** Deletes the entries of a family that `stale` picks; answers how many. */
  async deleteWhere(family: 4 | 6, stale: (entry: ConntrackEntry) => boolean): Promise<number> {
    const found: ConntrackEntry[] = [];
    await this.#socket.ask(listRequest(family), (message) => {
      const entry = parseEntry(message);
      if (entry !== undefined && stale(entry)) found.push(entry);
    });
    for (const entry of found) {
      try {
        await this.#socket.ask(deleteRequest(entry), () => {});
      } catch (error) {
        if (!(error instanceof NetlinkError && error.code === 'ENOENT')) throw error;
      }
    }
    return found.length;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}
