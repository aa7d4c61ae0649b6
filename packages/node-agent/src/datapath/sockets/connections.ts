/**
 * The connections of this node's sockets to backends, as far as our hooks made them, and closing them: whoever waits there
 * gets ECONNABORTED at once. Sockets of others, and those of ours that asked for the very address, are not touched. Looks
 * at one namespace after another, for a few ms a turn of the event loop.
 */

import { familyOf, type IpAddress } from '@tombolo/shared/model/ip.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { nextTurn } from '@tombolo/shared/process/slices.ts';
import { AF_INET, AF_INET6 } from '../netlink/messages.ts';
import { NetlinkError, NetlinkSocket } from '../netlink/socket.ts';
import { ConnectedSockets } from './connected.ts';
import {
  type ConnectedProtocol,
  type Connection,
  connectionOf,
  connectionsTo,
  destroy,
  destroyNothing,
  MOST_DESTINATIONS,
  NETLINK_SOCK_DIAG,
  type Place,
  placeId,
} from './inet-diag.ts';
import { inNamespace, isNamespace, namespacesIn } from './namespaces.ts';

export interface OpenConnection extends Connection {
  /** The file of its network namespace; undefined for that of this process. */
  readonly namespace: string | undefined;
}

/** What of the node's connections was seen. */
export interface Survey {
  /** By `placeId`. */
  readonly found: ReadonlyMap<string, readonly OpenConnection[]>;
  /** There are more than are looked at. */
  readonly isPartial: boolean;
}

export interface ConnectionsOptions {
  /** Where the map is pinned. */
  readonly mapPath: string;
  /** Where the namespaces of pods are. */
  readonly namespaces: string;
  readonly mostNamespaces?: number;
  readonly mostConnections?: number;
}

const MOST_NAMESPACES = 500;
const MOST_CONNECTIONS = 10_000;

export class Connections {
  readonly #options: ConnectionsOptions;
  #trouble = '';

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** Why sockets of some pods are not reached, in one sentence; empty when all are. */
  get trouble(): string {
    return this.#trouble;
  }

  /** Of those that are connected to one of these places through a Service. */
  async survey(places: readonly Place[]): Promise<Survey> {
    const { mostConnections = MOST_CONNECTIONS } = this.#options;
    const ours = ConnectedSockets.open(this.#options.mapPath);
    const found = new Map<string, OpenConnection[]>();
    if (!ours) return { found, isPartial: false };
    let count = 0;
    const note = (connection: OpenConnection): void => {
      if (count === mostConnections || !ours.has(connection.cookie)) return;
      count += 1;
      const id = placeId(connection);
      const known = found.get(id);
      if (known) known.push(connection);
      else found.set(id, [connection]);
    };
    try {
      await this.#eachNamespace((socket, namespace) =>
        connectionsOf(socket, places, (connection) => note({ ...connection, namespace })),
      );
      return { found, isPartial: count === mostConnections };
    } finally {
      ours.close();
    }
  }

  /** How many it closed; those that have ended meanwhile do not count. Throws a NetlinkError when the kernel cannot. */
  async close(connections: readonly OpenConnection[]): Promise<number> {
    let closed = 0;
    for (const [namespace, ofOne] of Map.groupBy(connections, (each) => each.namespace)) {
      const socket = openIn(namespace);
      if (typeof socket !== 'object') continue;
      try {
        for (const [i, connection] of ofOne.entries()) {
          closed += Number(closeOne(socket, connection));
          if (i % 64 === 63) await nextTurn();
        }
      } finally {
        await socket.close();
      }
    }
    return closed;
  }

  async #eachNamespace(visit: (socket: NetlinkSocket, namespace: string | undefined) => Promise<void>): Promise<void> {
    const { namespaces, mostNamespaces = MOST_NAMESPACES } = this.#options;
    const others = namespacesIn(namespaces, mostNamespaces);
    let refusal = '';
    for (const namespace of [undefined, ...others]) {
      const socket = openIn(namespace);
      if (typeof socket !== 'object') {
        refusal ||= socket ?? '';
        continue;
      }
      try {
        await visit(socket, namespace);
      } finally {
        await socket.close();
      }
      await nextTurn();
    }
    if (others.length === mostNamespaces) refusal ||= `there are more than ${mostNamespaces} network namespaces`;
    this.#trouble = refusal;
  }
}

/** A sentence when this process may not; undefined when it is gone meanwhile, with all its sockets. */
function openIn(namespace: string | undefined): NetlinkSocket | string | undefined {
  const open = (): NetlinkSocket => new NetlinkSocket(NETLINK_SOCK_DIAG);
  if (namespace === undefined) return open();
  try {
    return inNamespace(namespace, open);
  } catch (error) {
    return isNamespace(namespace) ? reasonOf(error) : undefined;
  }
}

async function connectionsOf(
  socket: NetlinkSocket,
  places: readonly Place[],
  note: (connection: Connection) => void,
): Promise<void> {
  for (const [protocol, all] of Map.groupBy(places, (place) => place.protocol)) {
    for (let at = 0; at < all.length; at += MOST_DESTINATIONS) {
      const some = all.slice(at, at + MOST_DESTINATIONS);
      // IPv6 sockets are connected to IPv4 addresses as well.
      const families = some.some(({ address }) => isIpv4(address)) ? [AF_INET, AF_INET6] : [AF_INET6];
      for (const family of families) {
        await socket.ask(connectionsTo(family, protocol, some), (message) => {
          const connection = connectionOf(message, protocol);
          if (connection) note(connection);
        });
      }
    }
  }
}

const isIpv4 = (address: IpAddress): boolean => familyOf(address) === 4;

function closeOne(socket: NetlinkSocket, connection: Connection): boolean {
  try {
    socket.askNow(destroy(connection));
    return true;
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Why this kernel cannot close connections, in one sentence; undefined when it can. */
export function whyNot(protocol: ConnectedProtocol): string | undefined {
  const socket = new NetlinkSocket(NETLINK_SOCK_DIAG);
  try {
    socket.askNow(destroyNothing(protocol));
    return undefined;
  } catch (error) {
    const code = error instanceof NetlinkError ? error.code : String(error);
    // There is no such socket.
    if (code === 'ENOENT') return undefined;
    return `this kernel does not close sockets (CONFIG_INET_DIAG_DESTROY): ${code}`;
  } finally {
    void socket.close();
  }
}
