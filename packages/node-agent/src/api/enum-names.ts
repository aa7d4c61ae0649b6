/** The model's words and the API's, side by side. A word that is missing on either side is a type error. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { IpFamily } from '@tombolo/shared/model/ip.ts';
import type { Affinity, Origin } from '@tombolo/shared/model/service.ts';
import type {
  BackendState,
  Clients,
  ControlState,
  Decision,
  FrontendKind,
} from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';

type Names<Model extends string | number, Api> = Readonly<Record<Model, Api>>;

export const IP_FAMILIES: Names<IpFamily, api.IpFamily> = { 4: 'IP_FAMILY_IPV4', 6: 'IP_FAMILY_IPV6' };

export const AFFINITIES: Names<Affinity, api.Affinity> = {
  none: 'AFFINITY_NONE',
  local: 'AFFINITY_LOCAL',
  remote: 'AFFINITY_REMOTE',
};

export const FRONTEND_KINDS: Names<FrontendKind, api.FrontendKind> = {
  ClusterIP: 'FRONTEND_KIND_CLUSTER_IP',
  ExternalIP: 'FRONTEND_KIND_EXTERNAL_IP',
  LoadBalancer: 'FRONTEND_KIND_LOAD_BALANCER',
  NodePort: 'FRONTEND_KIND_NODE_PORT',
};

export const CLIENTS: Names<Clients, api.Clients> = {
  all: 'CLIENTS_ALL',
  inside: 'CLIENTS_INSIDE',
  outside: 'CLIENTS_OUTSIDE',
};

export const BACKEND_STATES: Names<BackendState, api.BackendState> = {
  active: 'BACKEND_STATE_ACTIVE',
  terminating: 'BACKEND_STATE_TERMINATING',
  unready: 'BACKEND_STATE_UNREADY',
};

export const SOURCES: Names<Origin['source'], api.Source> = {
  kubernetes: 'SOURCE_KUBERNETES',
  etcd: 'SOURCE_ETCD',
  kernel: 'SOURCE_KERNEL',
};

export const VERDICTS: Names<Decision['verdict'], api.Verdict> = {
  selected: 'VERDICT_SELECTED',
  'no-local-service': 'VERDICT_NO_LOCAL_SERVICE',
  'not-global': 'VERDICT_NOT_GLOBAL',
  namespace: 'VERDICT_NAMESPACE',
  'not-shared': 'VERDICT_NOT_SHARED',
  'refused-address': 'VERDICT_REFUSED_ADDRESS',
  'address-family': 'VERDICT_ADDRESS_FAMILY',
  'port-name': 'VERDICT_PORT_NAME',
  duplicate: 'VERDICT_DUPLICATE',
  'traffic-policy': 'VERDICT_TRAFFIC_POLICY',
  unready: 'VERDICT_UNREADY',
  affinity: 'VERDICT_AFFINITY',
  terminating: 'VERDICT_TERMINATING',
  topology: 'VERDICT_TOPOLOGY',
  weight: 'VERDICT_WEIGHT',
  quota: 'VERDICT_QUOTA',
};

export const CONTROL_STATES: Names<ControlState, api.ControlState> = {
  connecting: 'CONTROL_STATE_CONNECTING',
  syncing: 'CONTROL_STATE_SYNCING',
  heard: 'CONTROL_STATE_HEARD',
  silent: 'CONTROL_STATE_SILENT',
  failed: 'CONTROL_STATE_FAILED',
};

export const HEALTH_STATES: Names<Health['kind'], api.HealthState> = {
  starting: 'HEALTH_STATE_STARTING',
  ok: 'HEALTH_STATE_OK',
  degraded: 'HEALTH_STATE_DEGRADED',
  failing: 'HEALTH_STATE_DEGRADED',
};
