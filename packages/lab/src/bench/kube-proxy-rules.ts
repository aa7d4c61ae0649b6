/**
 * The rules that kube-proxy's iptables mode writes for the same Services, as input for `iptables-restore`: KUBE-SERVICES
 * is one list, KUBE-SVC-… chooses with `statistic --mode random`, KUBE-SEP-… translates. As kube-proxy does, comments are
 * left out from 1,000 endpoints on. Pure; written from the documented layout.
 */
import { createHash } from 'node:crypto';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';

export interface ListedService {
  readonly name: string;
  readonly frontend: Pick<Frontend, 'address' | 'port'>;
  readonly backends: readonly { readonly address: string; readonly port: number }[];
}

const LARGE_CLUSTER_ENDPOINTS = 1000;

/** IPv4 and TCP only. Pods are in `podCidr`; what comes from elsewhere is masqueraded. */
export function kubeProxyRules(services: readonly ListedService[], podCidr: string): string {
  const endpoints = services.reduce((sum, { backends }) => sum + backends.length, 0);
  const comment = (text: string): string =>
    endpoints > LARGE_CLUSTER_ENDPOINTS ? '' : ` -m comment --comment "${text}"`;
  const chains: string[] = [];
  const jumps: string[] = [];
  const rules: string[] = [];
  for (const { name, frontend, backends } of services) {
    const chain = `KUBE-SVC-${hash(name)}`;
    const destination = `-d ${frontend.address}/32 -p tcp${comment(`${name} cluster IP`)} -m tcp --dport ${frontend.port}`;
    chains.push(chain);
    jumps.push(`-A KUBE-SERVICES ${destination} -j ${chain}`);
    rules.push(`-A ${chain} ! -s ${podCidr} ${destination} -j KUBE-MARK-MASQ`);
    backends.forEach(({ address, port }, i) => {
      const target = `${address}:${port}`;
      const endpoint = `KUBE-SEP-${hash(`${name}tcp${target}`)}`;
      const left = backends.length - i;
      const chance = left > 1 ? ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}` : '';
      chains.push(endpoint);
      rules.push(
        `-A ${chain}${comment(`${name} -> ${target}`)}${chance} -j ${endpoint}`,
        `-A ${endpoint} -s ${address}/32${comment(name)} -j KUBE-MARK-MASQ`,
        `-A ${endpoint} -p tcp${comment(name)} -m tcp -j DNAT --to-destination ${target}`,
      );
    });
  }
  const nat = ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ', ...chains];
  return [
    '*nat',
    ...nat.map((chain) => `:${chain} - [0:0]`),
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
    ...jumps,
    '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    ...rules,
    'COMMIT',
    ...FILTER,
    '',
  ].join('\n');
}

/** What kube-proxy puts into the filter table when every Service has endpoints. */
const FILTER = [
  '*filter',
  ...['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-FORWARD', 'KUBE-NODEPORTS', 'KUBE-PROXY-FIREWALL'].map(
    (chain) => `:${chain} - [0:0]`,
  ),
  '-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL',
  '-A INPUT -j KUBE-NODEPORTS',
  '-A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES',
  '-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL',
  '-A FORWARD -j KUBE-FORWARD',
  '-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES',
  '-A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES',
  '-A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL',
  '-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES',
  '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
  '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT',
  '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  'COMMIT',
];

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** 16 characters, as chain names are at most 28 long. */
const hash = (text: string): string =>
  [...createHash('sha256').update(text).digest().subarray(0, 16)].map((byte) => BASE32[byte & 31]).join('');
