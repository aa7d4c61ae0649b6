/**
 * Opens the API's socket. A unix socket appears under its name only when it is ready and has its mode; one that a dead
 * process left behind is replaced, one that answers is an error. Errors are sentences that name the address.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type ListenOptions, type Server } from 'node:net';
import path from 'node:path';
import { type ApiAddress, formatApiAddress } from '@tombolo/proto/address.ts';

const SOCKET_MODE = 0o660;

export interface Listening {
  readonly server: Server;
  /** As a client is to be told it: with the real port. */
  readonly address: string;
  /** Takes the name of a unix socket away, unless another process has it by now. */
  unlink(): Promise<void>;
}

export async function listen(address: ApiAddress): Promise<Listening> {
  return address.kind === 'tcp' ? listenTcp(address) : listenUnix(address.path);
}

const failure = (address: ApiAddress, reason: string, cause?: unknown): Error =>
  new Error(`Cannot serve the API on ${formatApiAddress(address)}: ${reason}`, { cause });

async function listenTcp(address: ApiAddress & { kind: 'tcp' }): Promise<Listening> {
  const server = await open({ host: address.host, port: address.port }, address);
  const { port } = server.address() as AddressInfo;
  return { server, address: formatApiAddress({ ...address, port }), unlink: async () => {} };
}

async function listenUnix(socketPath: string): Promise<Listening> {
  const address: ApiAddress = { kind: 'unix', path: socketPath };
  // Short, and in the same folder: `rename` puts it in place at once. Both paths must fit into a socket address.
  const fresh = path.join(path.dirname(socketPath), `.${randomBytes(3).toString('hex')}`);
  try {
    await mkdir(path.dirname(socketPath), { recursive: true, mode: 0o755 });
    await refuseIfTaken(address);
    const server = await open({ path: fresh }, address);
    await chmod(fresh, SOCKET_MODE);
    const { ino } = await lstat(fresh);
    await rename(fresh, socketPath);
    return { server, address: formatApiAddress(address), unlink: () => unlinkOwn(socketPath, ino) };
  } catch (error) {
    throw error instanceof Error && error.message.startsWith('Cannot serve')
      ? error
      : failure(address, error instanceof Error ? error.message : String(error), error);
  }
}

async function refuseIfTaken(address: ApiAddress & { kind: 'unix' }): Promise<void> {
  const found = await lstat(address.path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw failure(address, 'the path exists and is not a socket');
  const probe = connect(address.path);
  try {
    await once(probe, 'connect');
  } catch {
    return;
  } finally {
    probe.destroy();
  }
  throw failure(address, 'another process serves there; is another agent running on this node?');
}

async function open(options: ListenOptions, address: ApiAddress): Promise<Server> {
  const server = createServer();
  server.listen(options);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw failure(address, describeListenError(error), error);
  }
  return server;
}

function describeListenError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'another process uses this port';
  if (code === 'EADDRNOTAVAIL') return 'this machine does not have this address';
  if (code === 'EACCES') return 'not permitted';
  return message;
}

async function unlinkOwn(socketPath: string, inode: number): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found?.ino === inode) await rm(socketPath, { force: true });
}
