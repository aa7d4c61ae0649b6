/**
 * One agent on a node: two would undo each other's work in the kernel, and the second would take the first one's socket
 * hooks for leftovers. An abstract socket is the lock. Each network namespace has its own, as it has its own nftables,
 * and the kernel lets go of it when the process ends, however it ends.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Closable } from './persist.ts';

/** Throws a sentence when another agent has the node. */
export async function claimNode(name = 'tombolo/node-agent'): Promise<Closable> {
  const server = createServer((socket) => socket.destroy());
  server.listen(`\0${name}`);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new Error('Cannot have this node: another node-agent runs in this network namespace', { cause });
  }
  server.unref();
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}
