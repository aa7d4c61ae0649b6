/** Where the API is: a unix socket or a TCP address, as given by `--api` of the agent and `--address` of its clients. */
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';

export type ApiAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export const DEFAULT_ADDRESS = 'unix:///run/tombolo/agent.sock';

/** What a socket's address structure has room for, the closing zero aside. */
const MAX_SOCKET_PATH = 107;

/** `unix:///absolute/path`, the bare `/absolute/path`, `host:port` or `[ipv6]:port`. */
export function parseApiAddress(text: string): Result<ApiAddress> {
  const path = text.startsWith('unix:///') ? text.slice('unix://'.length) : text;
  if (path.startsWith('/')) {
    return Buffer.byteLength(path) <= MAX_SOCKET_PATH && !path.endsWith('/')
      ? ok({ kind: 'unix', path })
      : fail(`the path of a socket must have 1-${MAX_SOCKET_PATH} bytes: current value is ${JSON.stringify(path)}`);
  }
  const match = /^(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<host>[^:/[\]\s]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.['ipv6'] ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  return host !== undefined && port <= 65_535
    ? ok({ kind: 'tcp', host, port })
    : fail(`expected unix:///path or host:port: current value is ${JSON.stringify(text)}`);
}

/** What only this machine can reach. A name other than `localhost` may lead anywhere. */
export function isLocalAddress(address: ApiAddress): boolean {
  return address.kind === 'unix' || /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(address.host);
}

export function formatApiAddress(address: ApiAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
