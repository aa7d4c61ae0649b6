/**
 * Settings → addresses to dial, and the TLS material of one dial. Files are read here, at each dial, so that a rotated
 * certificate is picked up by the next connection without a restart.
 */
import { readFile } from 'node:fs/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { getCACertificates } from 'node:tls';
import type { EtcdConfig, EtcdTls, HostAlias } from '../config.ts';
import { EtcdError } from './errors.ts';

export interface Endpoint {
  /** As configured, for messages. */
  readonly url: string;
  readonly secure: boolean;
  /** What gRPC dials: `host:port`, or `ipv4:…`/`ipv6:…` for an aliased host. */
  readonly target: string;
  /** Set for an aliased host: the name that the server must prove. */
  readonly serverName?: string;
}

export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

const DEFAULT_PORT = '2379';

/** All addresses of all endpoints, in the order given. Throws an `EtcdError` that lists every problem at once. */
export function parseEndpoints(config: EtcdConfig): readonly Endpoint[] {
  const problems: string[] = [];
  if (config.endpoints.length === 0) problems.push('expected at least one endpoint: the list is empty');
  const aliases = new Map((config.hostAliases ?? []).map((alias) => [alias.hostname, alias]));
  problems.push(...aliasProblems(config.hostAliases ?? []), ...tlsProblems(config.tls));
  const endpoints = config.endpoints.flatMap((text) => {
    const url = parseUrl(text);
    if (url) return addressesOf(url, portOf(text), aliases.get(hostnameOf(url)));
    problems.push(`expected an endpoint like "https://HOST:2379": current value is ${JSON.stringify(hideUser(text))}`);
    return [];
  });
  if (problems.length > 0) throw new EtcdError('config', `Cannot use etcd settings: ${problems.join('; ')}`);
  return endpoints;
}

function parseUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url && url.pathname.length <= 1 && url.search === '' && url.hash === '' && url.username === '';
  return bare && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url : undefined;
}

/** A password in an endpoint is a mistake, and must not get into a log for it. */
function hideUser(text: string): string {
  return text.replace(/\/\/[^/]*@/, '//…@');
}

function hostnameOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** From the text: `URL` drops 443 and 80 as the defaults of its schemes, and ours is another. */
function portOf(text: string): string {
  return /:(\d+)\/?$/.exec(text)?.[1] ?? DEFAULT_PORT;
}

function addressesOf(url: URL, port: string, alias: HostAlias | undefined): readonly Endpoint[] {
  const secure = url.protocol === 'https:';
  const name = `${url.protocol}//${url.hostname}:${port}`;
  if (!alias) return [{ url: name, secure, target: `${url.hostname}:${port}` }];
  return alias.ips.map((ip) => ({
    url: name,
    secure,
    target: isIPv6(ip) ? `ipv6:[${ip}]:${port}` : `ipv4:${ip}:${port}`,
    serverName: alias.hostname,
  }));
}

function aliasProblems(aliases: readonly HostAlias[]): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { hostname, ips } of aliases) {
    if (hostname === '') problems.push('expected a hostname in each host alias: one is empty');
    if (ips.length === 0) problems.push(`expected addresses for host alias "${hostname}": the list is empty`);
    for (const ip of ips) {
      if (!isIPv4(ip) && !isIPv6(ip)) problems.push(`expected an IP address for host alias "${hostname}": got "${ip}"`);
    }
    if (seen.has(hostname)) problems.push(`expected each host alias once: "${hostname}" is there twice`);
    seen.add(hostname);
  }
  return problems;
}

function tlsProblems(tls: EtcdTls | undefined): string[] {
  return tls && (tls.cert === undefined) !== (tls.key === undefined)
    ? ['expected certificate and key together: only one of them is set']
    : [];
}

/** The order in which the endpoints are tried. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const pool = [...items];
  return items.flatMap(() => pool.splice(Math.floor(random() * pool.length), 1));
}

/** Rejects with an `EtcdError` of kind `unavailable`: files may appear, or be replaced, later. */
export async function readTls(tls: EtcdTls | undefined): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    readPem('CA certificate', tls?.ca),
    readPem('client certificate', tls?.cert),
    readPem('client key', tls?.key),
  ]);
  return {
    ca: ca ?? Buffer.from(knownRoots().join('\n')),
    ...(cert && { cert }),
    ...(key && { key }),
  };
}

/** Those that Node brings along, of `NODE_EXTRA_CA_CERTS`, and of the system. */
function knownRoots(): readonly string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

async function readPem(what: string, source: string | Buffer | undefined): Promise<Buffer | undefined> {
  if (source === undefined) return undefined;
  const content = typeof source === 'string' ? await readPemFile(what, source) : source;
  if (content.includes('-----BEGIN ')) return content;
  const where = typeof source === 'string' ? ` ${source}` : '';
  throw new EtcdError('unavailable', `Cannot use the ${what}${where}: expected PEM text: found none`);
}

async function readPemFile(what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new EtcdError('unavailable', `Cannot read the ${what} ${path}: expected a readable file: ${code}`, { cause });
  }
}
