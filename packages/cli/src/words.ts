/** The API's enum names as the words that people and scripts get. A value newer than this program is shown as it is. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';

/** `VERDICT_NO_LOCAL_SERVICE` → `no-local-service`. */
function word(prefix: string, value: string | number): string {
  const text = String(value);
  return text.startsWith(prefix) ? text.slice(prefix.length).toLowerCase().replaceAll('_', '-') : text.toLowerCase();
}

const FRONTEND_KINDS: Readonly<Record<string, string>> = {
  FRONTEND_KIND_CLUSTER_IP: 'ClusterIP',
  FRONTEND_KIND_EXTERNAL_IP: 'ExternalIP',
  FRONTEND_KIND_LOAD_BALANCER: 'LoadBalancer',
  FRONTEND_KIND_NODE_PORT: 'NodePort',
};

export const protocolWord = (value: api.Protocol): string => word('PROTOCOL_', value).toUpperCase();
export const familyWord = (value: api.IpFamily): string => word('IP_FAMILY_', value).replace('ip', 'IP');
export const affinityWord = (value: api.Affinity): string => word('AFFINITY_', value);
export const frontendKindWord = (value: api.FrontendKind): string => FRONTEND_KINDS[value] ?? String(value);
export const clientsWord = (value: api.Clients): string => word('CLIENTS_', value);
export const backendStateWord = (value: api.BackendState): string => word('BACKEND_STATE_', value);
export const sourceWord = (value: api.Source): string => word('SOURCE_', value);
export const verdictWord = (value: api.Verdict): string => word('VERDICT_', value);
export const controlWord = (value: api.ControlState): string => word('CONTROL_STATE_', value);
export const healthWord = (value: api.HealthState): string => word('HEALTH_STATE_', value);
