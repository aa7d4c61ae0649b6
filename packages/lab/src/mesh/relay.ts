/**
 * The relay: `relay.ts --ports FILE CLUSTER=SOCKET…` listens on a free port of 127.0.0.1 for each cluster and passes
 * connections on to its Kubernetes API's unix socket. Writes `{CLUSTER: PORT}` to FILE when all listen.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { parseArgs } from 'node:util';
import { passConnections } from './pass-connections.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { ports: { type: 'string' } } });

function listen(socketPath: string): Promise<number> {
  const server = passConnections(() => connect(socketPath));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

const ports = await Promise.all(
  positionals.map(async (pair): Promise<[string, number]> => {
    const [cluster = '', socketPath = ''] = pair.split('=');
    return [cluster, await listen(socketPath)];
  }),
);
const file = values.ports ?? '/dev/stdout';
writeFileSync(`${file}.new`, JSON.stringify(Object.fromEntries(ports)));
renameSync(`${file}.new`, file);
