/** For tests: answers of an agent. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { timestampFromMs } from '@tombolo/proto/timestamp.ts';

export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const ago = (seconds: number): api.Timestamp | null => timestampFromMs(NOW - seconds * 1000);

function sampleBackend(address: string, fields: Partial<api.Backend> = {}): api.Backend {
  return {
    address,
    port: 8080,
    protocol: 'PROTOCOL_TCP',
    portNames: ['http'],
    cluster: 'east',
    clusterId: 1,
    node: 'n1',
    zone: 'a',
    state: 'BACKEND_STATE_ACTIVE',
    stale: false,
    origin: { source: 'SOURCE_KUBERNETES', revision: '12', learnedAt: ago(12) },
    verdict: 'VERDICT_SELECTED',
    reason: 'ready',
    ...fields,
  };
}

const WEST: Partial<api.Backend> = {
  cluster: 'west',
  clusterId: 2,
  node: '',
  zone: '',
  stale: true,
  origin: { source: 'SOURCE_ETCD', revision: '90', learnedAt: ago(200) },
};

export const SAMPLE_SERVICE: api.Service = {
  namespace: 'default',
  name: 'web',
  local: true,
  global: true,
  shared: true,
  affinity: 'AFFINITY_NONE',
  sessionAffinitySeconds: 0,
  origin: { source: 'SOURCE_KUBERNETES', revision: '7', learnedAt: ago(3 * 3600) },
  groups: [
    {
      port: { name: 'http', protocol: 'PROTOCOL_TCP', port: 80, nodePort: 30080 },
      family: 'IP_FAMILY_IPV4',
      clients: 'CLIENTS_ALL',
      frontends: [
        { kind: 'FRONTEND_KIND_CLUSTER_IP', address: '10.96.0.10', port: 80, protocol: 'PROTOCOL_TCP' },
        { kind: 'FRONTEND_KIND_NODE_PORT', address: '0.0.0.0', port: 30080, protocol: 'PROTOCOL_TCP' },
      ],
      refused: [
        {
          frontend: { kind: 'FRONTEND_KIND_EXTERNAL_IP', address: '192.0.2.7', port: 80, protocol: 'PROTOCOL_TCP' },
          reason: 'it is a cluster IP of kube-system/dns',
        },
      ],
      backends: [
        sampleBackend('10.1.0.6', {
          state: 'BACKEND_STATE_UNREADY',
          verdict: 'VERDICT_UNREADY',
          reason: 'its pod is not ready',
        }),
        sampleBackend('10.1.0.5'),
        sampleBackend('10.2.0.5', WEST),
      ],
    },
  ],
  unmatchedBackends: [
    sampleBackend('fd00::5', { ...WEST, verdict: 'VERDICT_ADDRESS_FAMILY', reason: 'no IPv6 frontend here' }),
  ],
  selectedCount: 2,
  backendCount: 4,
  moreBackends: false,
  programmed: true,
};

/** Known to another cluster only. */
export const REMOTE_SERVICE: api.Service = {
  ...SAMPLE_SERVICE,
  namespace: 'shop',
  name: 'cart',
  local: false,
  global: false,
  shared: false,
  origin: null,
  groups: [],
  unmatchedBackends: [
    sampleBackend('10.2.0.9', {
      ...WEST,
      verdict: 'VERDICT_NO_LOCAL_SERVICE',
      reason: 'east has no Service shop/cart',
    }),
  ],
  selectedCount: 0,
  backendCount: 1,
};

const cluster: api.Cluster = {
  name: 'east',
  id: 1,
  local: true,
  control: 'CONTROL_STATE_HEARD',
  since: ago(3600),
  heardAt: ago(1),
  endpoints: ['https://10.0.0.1:6443'],
  services: 12,
  backends: 30,
  nodes: 2,
  failures: 0,
  lastError: '',
  warnings: [],
  quarantined: [],
  quarantinedCount: 0,
};

export const SAMPLE_CLUSTERS: readonly api.Cluster[] = [
  cluster,
  {
    ...cluster,
    name: 'west',
    id: 2,
    local: false,
    control: 'CONTROL_STATE_SILENT',
    since: ago(30),
    heardAt: ago(45),
    endpoints: ['https://10.0.1.1:2379', 'https://10.0.1.2:2379'],
    failures: 4,
    lastError: 'connection refused',
    quarantined: [{ key: 'cilium/state/services/v1/west/default/x', reason: 'port must be 1-65535', at: ago(130) }],
    quarantinedCount: 12,
  },
  {
    ...cluster,
    name: 'north',
    id: 0,
    local: false,
    control: 'CONTROL_STATE_CONNECTING',
    since: ago(5),
    heardAt: null,
    endpoints: [],
    services: 0,
    backends: 0,
    nodes: 0,
  },
];

export const SAMPLE_STATUS: api.GetStatusResponse = {
  cluster: 'east',
  clusterId: 1,
  node: 'n1',
  version: '0.1.0',
  datapath: 'ebpf',
  datapathReason: 'cgroup BPF works here',
  startedAt: ago(3 * 86_400),
  tableRevision: 40,
  services: 1,
  clusters: 3,
  clustersHeard: 1,
  ready: true,
  parts: [
    { name: 'kubernetes', state: 'HEALTH_STATE_OK', reason: '' },
    { name: 'mesh/west', state: 'HEALTH_STATE_DEGRADED', reason: 'silent for 45 s' },
  ],
};
