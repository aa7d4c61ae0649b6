/**
 * Keeps an API server without authentication off real networks: it listens on loopback, or on any address of a network
 * namespace that has no default route, as the nodes of a lab are. Refusing, not warning: whoever reaches the
 * port may run anything in the cluster.
 */
import { readFile } from 'node:fs/promises';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

export async function checkListenHost(host: string): Promise<void> {
  if (LOOPBACK.test(host)) return;
  const [v4, v6] = await Promise.all([read('/proc/self/net/route'), read('/proc/self/net/ipv6_route')]);
  if (!hasDefaultRoute(v4, v6)) return;
  throw new Error(
    `Cannot serve the Kubernetes API: expected a loopback address, or a network namespace without default route, because it has no authentication: current value is ${host}`,
  );
}

/** From the kernel's tables. A route that only rejects (flag 0x200) leads nowhere. */
export function hasDefaultRoute(v4: string, v6: string): boolean {
  const inV4 = v4.split('\n').some((line) => {
    const [, destination, , flags, , , , mask] = line.trim().split(/\s+/);
    return destination === '00000000' && mask === '00000000' && leads(flags);
  });
  const inV6 = v6.split('\n').some((line) => {
    const [destination, length, , , , , , , flags, device] = line.trim().split(/\s+/);
    return destination === '0'.repeat(32) && length === '00' && device !== 'lo' && leads(flags);
  });
  return inV4 || inV6;
}

const leads = (flags = '0'): boolean => (Number.parseInt(flags, 16) & 0x200) === 0;

/** A kernel without IPv6 has no such table. */
const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
