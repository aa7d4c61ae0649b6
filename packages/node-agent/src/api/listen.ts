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
import { reasonOf } from '@tombolo/shared/process/retry.ts';

const SOCKET_MODE = 0o660;

export interface Listening {
  readonly server: Server;
  /** As a client is to be told it: with the real port. */
  readonly address: string;
  /** Takes the name of a unix socket away, unless another process has it by now. */
  unlink(): Promise<void>;
}

export async function listen(address: ApiAddress): Promise<Listening> {
  try {
    return await (address.kind === 'tcp' ? listenTcp(address) : listenUnix(address.path));
  } catch (cause) {
    throw new Error(`Cannot serve the API on ${formatApiAddress(address)}: ${describeFailure(cause)}`, { cause });
  }
}

async function listenTcp(address: ApiAddress & { kind: 'tcp' }): Promise<Listening> {
  const server = await open({ host: address.host, port: address.port });
  const { port } = server.address() as AddressInfo;
  return { server, address: formatApiAddress({ ...address, port }), unlink: async () => {} };
}

async function listenUnix(socketPath: string): Promise<Listening> {
  // Short, and in the same folder: `rename` puts it in place at once. Both paths must fit into a socket address.
  const fresh = path.join(path.dirname(socketPath), `.${randomBytes(3).toString('hex')}`);
  await mkdir(path.dirname(socketPath), { recursive: true, mode: 0o755 });
  await refuseIfTaken(socketPath);
  const server = await open({ path: fresh });
  await chmod(fresh, SOCKET_MODE);
  const { ino } = await lstat(fresh);
  await rename(fresh, socketPath);
  const address = formatApiAddress({ kind: 'unix', path: socketPath });
  return { server, address, unlink: () => unlinkOwn(socketPath, ino) };
}

async function refuseIfTaken(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) throw new Error('the path exists and is not a socket');
  const probe = connect(socketPath);
  const answers = await once(probe, 'connect').then(
    () => true,
    () => false,
  );
  probe.destroy();
  if (answers) throw new Error('another process serves there; is another agent running on this node?');
}

async function open(options: ListenOptions): Promise<Server> {
  const server = createServer();
  server.listen(options);
  await once(server, 'listening');
  return server;
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process uses this port',
  EADDRNOTAVAIL: 'this machine does not have this address',
  EACCES: 'not permitted',
};

function describeFailure(error: unknown): string {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  return (syscall === 'listen' && LISTEN_FAILURES[code]) || reasonOf(error);
}

async function unlinkOwn(socketPath: string, inode: number): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found?.ino === inode) await rm(socketPath, { force: true });
}
