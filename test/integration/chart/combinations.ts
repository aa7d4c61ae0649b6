/** Every combination of choices. */
import type { Values } from './helm.ts';

/** A choice: a short name for each alternative, and the values that it stands for. */
export type Choice = Readonly<Record<string, Values>>;

export interface Combination {
  readonly title: string;
  readonly values: Values;
}

export function combinations(choices: readonly Choice[]): readonly Combination[] {
  const none: readonly Combination[] = [{ title: '', values: {} }];
  return choices.reduce(
    (sofar, choice) =>
      sofar.flatMap(({ title, values }) =>
        Object.entries(choice).map(([name, more]) => ({
          title: title === '' ? name : `${title}, ${name}`,
          values: { ...values, ...more },
        })),
      ),
    none,
  );
}

const METRICS: Choice = {
  'no metrics': {},
  'metrics by annotation': { 'metrics.enabled': true },
  'metrics by monitor': { 'metrics.enabled': true, 'metrics.podMonitor.enabled': true },
};
const PRIVILEGES: Choice = { capabilities: {}, privileged: { 'nodeAgent.privileged': true } };
const PROXY: Choice = {
  'beside kube-proxy': {},
  'in its place': { 'nodeAgent.services': 'all', 'kubernetesApi.host': '192.0.2.1' },
};
const STORAGE: Choice = { memory: {}, volume: { 'clustermeshApiserver.etcd.storage.type': 'volume' } };
const SERVICE: Choice = {
  NodePort: { 'clustermeshApiserver.advertise.ips': ['192.0.2.2', '2001:db8::2'] },
  LoadBalancer: {
    'clustermeshApiserver.service.type': 'LoadBalancer',
    'clustermeshApiserver.advertise.address': 'east.example.net',
  },
  ClusterIP: { 'clustermeshApiserver.service.type': 'ClusterIP' },
};
const CERTIFICATES: Choice = {
  'by Helm': {},
  'by cert-manager': { 'clustermeshApiserver.tls.method': 'certManager' },
  'by hand': {
    'clustermeshApiserver.tls.method': 'secrets',
    'clustermeshApiserver.tls.secrets': { server: 'server', admin: 'admin', remote: 'remote' },
  },
};
const POLICY: Choice = {
  'lets etcd in': {},
  'from some': {
    'clustermeshApiserver.networkPolicy.etcdFrom': [{ ipBlock: { cidr: '192.0.2.0/24' } }],
    'clustermeshApiserver.networkPolicy.restrictEgress': true,
  },
  'no policy': { 'clustermeshApiserver.networkPolicy.enabled': false },
};
const REPLICAS: Choice = { 'one replica': {}, 'three replicas': { 'clustermeshApiserver.replicas': 3 } };
const EXPORTER: Choice = { exports: {}, 'only imports': { 'clustermeshApiserver.enabled': false } };
const UNINSTALL: Choice = { uninstalls: {}, 'leaves traces': { 'nodeAgent.uninstall.enabled': false } };
const OTHERS: Choice = {
  'others by hand': {},
  'others in values': {
    'clustermesh.clusters': [
      { name: 'west', ips: ['192.0.2.3'], port: 32_379, tls: { caCert: 'YQ==', cert: 'Yg==', key: 'Yw==' } },
      { name: 'north', address: 'north.example.net', port: 2379, tls: { caCert: 'YQ==', cert: 'Yg==', key: 'Yw==' } },
    ],
  },
  'others in a Secret': { 'clustermesh.existingSecret': 'ours' },
};

/** Choices that meet in one object, each with each. */
export const CHARTS: readonly Combination[] = [
  ...combinations([PRIVILEGES, PROXY, STORAGE, SERVICE, CERTIFICATES]),
  ...combinations([EXPORTER, POLICY, REPLICAS, METRICS, STORAGE]),
  ...combinations([PRIVILEGES, PROXY, UNINSTALL, OTHERS]),
];
