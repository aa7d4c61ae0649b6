/** Printer columns of the core kinds, as `kubectl get` shows them. */
import type { Node, Pod, Service } from '../kinds/typed.ts';
import { conditionOf, isTrue } from '../kinds/typed.ts';
import { fieldAt, isJsonObject, type KubeObject } from '../objects.ts';
import type { Column } from '../resource.ts';
import { age, ageColumn, column, formatList, formatMap, nameColumn, wide } from './columns.ts';

const NONE = '<none>';

const countOf = (object: KubeObject, field: string): number => {
  const value = object[field];
  return Array.isArray(value) ? value.length : isJsonObject(value) ? Object.keys(value).length : 0;
};

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  column('Status', (object) => String(fieldAt(object, ['status', 'phase']) ?? '')),
  ageColumn,
];

export const serviceColumns: readonly Column[] = [
  nameColumn,
  column('Type', (object) => (object as Service).spec.type ?? ''),
  column('Cluster-IP', (object) => (object as Service).spec.clusterIP ?? NONE),
  column('External-IP', externalIp),
  column('Port(s)', servicePorts),
  ageColumn,
  wide('Selector', (object) => formatMap((object as Service).spec.selector)),
];

function externalIp(object: KubeObject): string {
  const { spec } = object as Service;
  if (spec.type === 'ExternalName') return spec.externalName ?? NONE;
  const ingress = fieldAt(object, ['status', 'loadBalancer', 'ingress']);
  const given = Array.isArray(ingress)
    ? ingress.map((entry: unknown) => String(fieldAt(entry, ['ip']) ?? fieldAt(entry, ['hostname'])))
    : [];
  const all = [...given, ...(spec.externalIPs ?? [])];
  if (all.length > 0) return all.join(',');
  return spec.type === 'LoadBalancer' ? '<pending>' : NONE;
}

function servicePorts(object: KubeObject): string {
  const ports = (object as Service).spec.ports ?? [];
  if (ports.length === 0) return NONE;
  return ports.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol}`).join(',');
}

export const podColumns: readonly Column[] = [
  nameColumn,
  column('Ready', (object) => {
    const { spec, status } = object as Pod;
    const ready = (status.containerStatuses ?? []).filter((container) => container.ready).length;
    return `${ready}/${spec.containers.length}`;
  }),
  column('Status', podPhase),
  column(
    'Restarts',
    (object) => (object as Pod).status.containerStatuses?.reduce((sum, c) => sum + (c.restartCount ?? 0), 0) ?? 0,
    {
      type: 'integer',
    },
  ),
  ageColumn,
  wide('IP', (object) => (object as Pod).status.podIP ?? NONE),
  wide('Node', (object) => (object as Pod).spec.nodeName ?? NONE),
  wide('Nominated Node', () => NONE),
  wide('Readiness Gates', () => NONE),
];

function podPhase(object: KubeObject): string {
  const { metadata, status } = object as Pod;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  for (const container of status.containerStatuses ?? []) {
    const reason =
      fieldAt(container.state, ['waiting', 'reason']) ?? fieldAt(container.state, ['terminated', 'reason']);
    if (typeof reason === 'string' && reason !== '') return reason;
  }
  return status.reason ?? status.phase ?? 'Unknown';
}

const ROLE = 'node-role.kubernetes.io/';

export const nodeColumns: readonly Column[] = [
  nameColumn,
  column('Status', (object) => {
    const { spec, status } = object as Node;
    const ready = conditionOf(status?.conditions, 'Ready');
    const known = ready === undefined ? 'Unknown' : isTrue(status?.conditions, 'Ready') ? 'Ready' : 'NotReady';
    return spec?.unschedulable ? `${known},SchedulingDisabled` : known;
  }),
  column('Roles', ({ metadata }) => {
    const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(ROLE));
    return roles.length === 0 ? NONE : roles.map((key) => key.slice(ROLE.length)).join(',');
  }),
  ageColumn,
  column('Version', (object) => (object as Node).status?.nodeInfo?.['kubeletVersion'] ?? ''),
  wide('Internal-IP', nodeAddress('InternalIP')),
  wide('External-IP', nodeAddress('ExternalIP')),
  wide('OS-Image', nodeInfo('osImage')),
  wide('Kernel-Version', nodeInfo('kernelVersion')),
  wide('Container-Runtime', nodeInfo('containerRuntimeVersion')),
];

function nodeAddress(type: string) {
  return (object: KubeObject): string =>
    (object as Node).status?.addresses?.find((entry) => entry.type === type)?.address ?? NONE;
}

function nodeInfo(field: string) {
  return (object: KubeObject): string => (object as Node).status?.nodeInfo?.[field] ?? '<unknown>';
}

export const endpointsColumns: readonly Column[] = [nameColumn, column('Endpoints', endpointsCell), ageColumn];

function endpointsCell(object: KubeObject): string {
  const subsets = object['subsets'];
  if (!Array.isArray(subsets)) return NONE;
  const listOf = (subset: unknown, field: string): unknown[] => {
    const value = fieldAt(subset, [field]);
    return Array.isArray(value) ? value : [];
  };
  return formatList(
    subsets.flatMap((subset: unknown) =>
      listOf(subset, 'ports').flatMap((port) =>
        listOf(subset, 'addresses').map((address) => `${fieldAt(address, ['ip'])}:${fieldAt(port, ['port'])}`),
      ),
    ),
  );
}

export const configMapColumns: readonly Column[] = [
  nameColumn,
  column('Data', (object) => countOf(object, 'data') + countOf(object, 'binaryData'), { type: 'integer' }),
  ageColumn,
];

export const secretColumns: readonly Column[] = [
  nameColumn,
  column('Type', (object) => String(object['type'] ?? '')),
  column('Data', (object) => countOf(object, 'data'), { type: 'integer' }),
  ageColumn,
];

export const serviceAccountColumns: readonly Column[] = [
  nameColumn,
  column('Secrets', (object) => countOf(object, 'secrets'), { type: 'integer' }),
  ageColumn,
];

export const eventColumns: readonly Column[] = [
  column('Last Seen', (object, now) => {
    const at = object['lastTimestamp'] ?? object['eventTime'] ?? object.metadata.creationTimestamp;
    return age(typeof at === 'string' ? at : undefined, now);
  }),
  column('Type', (object) => String(object['type'] ?? '')),
  column('Reason', (object) => String(object['reason'] ?? '')),
  column('Object', (object) => {
    const kind = String(fieldAt(object, ['involvedObject', 'kind']) ?? '').toLowerCase();
    return `${kind}/${fieldAt(object, ['involvedObject', 'name']) ?? ''}`;
  }),
  column('Message', (object) => String(object['message'] ?? '').trim()),
  wide('Name', ({ metadata }) => metadata.name),
];
