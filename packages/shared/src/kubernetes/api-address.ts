/**
 * Where the API server is asked for, and whether that is the Service `default/kubernetes` itself: whoever serves Services
 * in kube-proxy's place must not need one for that. Pure.
 */
import { familyOf, type IpAddress, parseIp } from '../model/ip.ts';
import { fail, ok, type Result } from '../model/result.ts';

const DEFAULT_PORT = 6443;

/** `HOST` or `HOST:PORT`, IPv6 addresses in brackets where a port follows, as the URL of a server. */
export function apiServerUrl(text: string): Result<string> {
  const address = parseIp(text);
  if (address.ok) return ok(`https://${inUrl(address.value)}:${DEFAULT_PORT}`);
  const [, host = '', port] = /^(\[[^\]/]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const number = Number(port ?? DEFAULT_PORT);
  const url = host === '' || number < 1 || number > 65_535 ? null : URL.parse(`https://${host}:${number}`);
  if (url) return ok(`https://${host.toLowerCase()}:${number}`);
  return fail(`expected an address or a name, and perhaps a port: current value is ${JSON.stringify(text)}`);
}

const inUrl = (address: IpAddress): string => (familyOf(address) === 6 ? `[${address}]` : address);

/** By these names pods ask for the Service. */
const SERVICE_NAME = /^kubernetes(\.default(\.svc(\..+)?)?)?$/i;

/**
 * Whether `server` leads to the Service: by its name, by one of its cluster IPs as far as they are known, or by the one that
 * the kubelet tells the pods of a node (`KUBERNETES_PORT`, which nobody sets otherwise).
 */
export function isKubernetesService(
  server: string,
  env: Readonly<Record<string, string | undefined>>,
  clusterIps: readonly IpAddress[],
): boolean {
  const host = hostOf(server);
  if (SERVICE_NAME.test(host)) return true;
  const address = parseIp(host);
  if (!address.ok) return false;
  const told = parseIp(hostOf(env['KUBERNETES_PORT'] ?? ''));
  return clusterIps.includes(address.value) || (told.ok && told.value === address.value);
}

const hostOf = (url: string): string =>
  URL.parse(url.replace(/^tcp:/, 'https:'))?.hostname.replace(/^\[|\]$/g, '') ?? '';
