/** What `kubectl get` shows of each kind. */
import type { Node, Pod, Service, Workload } from './kinds/typed.ts';
import { conditionOf, isTrue } from './kinds/typed.ts';
import { formatLabelSelector } from './label-selector.ts';
import { fieldAt, type KubeObject, listAt } from './objects.ts';
import type { Column } from './resource.ts';

type Cell = Column['cell'];

const column = (name: string, cell: Cell, more: Partial<Column> = {}): Column => ({
  ...{ name, cell, priority: 0, type: 'string', format: '', description: '' },
  ...more,
});
const number = (name: string, cell: (object: KubeObject) => number | undefined): Column =>
  column(name, (object) => cell(object) ?? 0, { type: 'integer' });
/** For `-o wide` only. */
const wide = (name: string, cell: Cell): Column => column(name, cell, { priority: 1 });
const field =
  (path: string, absent = ''): Cell =>
  (object) =>
    String(fieldAt(object, path) ?? absent);

const NONE = '<none>';
const nameColumn = column('Name', ({ metadata }) => metadata.name, { format: 'name' });
const ageColumn = column('Age', ({ metadata }, now) =>
  humanDuration(now.getTime() - Date.parse(metadata.creationTimestamp)),
);

const named = (...columns: readonly Column[]): readonly Column[] => [nameColumn, ...columns];

export const plainColumns = named(ageColumn);

const count = (path: string) =>
  number('Data', (object) => Object.keys((fieldAt(object, path) as object | undefined) ?? {}).length);

export const configMapColumns = named(count('data'), ageColumn);
export const secretColumns = named(column('Type', field('type')), count('data'), ageColumn);
export const namespaceColumns = named(column('Status', field('status.phase')), ageColumn);
export const leaseColumns = named(column('Holder', field('spec.holderIdentity')), ageColumn);

export const serviceColumns = named(
  column('Type', field('spec.type')),
  column('Cluster-IP', field('spec.clusterIP', NONE)),
  column('External-IP', externalIp),
  column('Port(s)', (object) =>
    joined(
      ((object as Service).spec.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol}`),
    ),
  ),
  ageColumn,
  wide('Selector', (object) => formatLabelSelector({ matchLabels: (object as Service).spec.selector }) || NONE),
);

function externalIp(object: KubeObject): string {
  const { type, externalName = NONE, externalIPs = [] } = (object as Service).spec;
  if (type === 'ExternalName') return externalName;
  const given = listAt(object, 'status.loadBalancer.ingress').map((entry) => String(fieldAt(entry, 'ip')));
  return joined([...given, ...externalIPs], type === 'LoadBalancer' ? '<pending>' : NONE);
}

export const podColumns = named(
  column('Ready', (object) => {
    const { spec, status } = object as Pod;
    return `${status.containerStatuses?.filter(({ ready }) => ready).length ?? 0}/${spec.containers.length}`;
  }),
  column('Status', podPhase),
  number('Restarts', (object) =>
    (object as Pod).status.containerStatuses?.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0),
  ),
  ageColumn,
  wide('IP', field('status.podIP', NONE)),
  wide('Node', field('spec.nodeName', NONE)),
  wide('Nominated Node', () => NONE),
  wide('Readiness Gates', () => NONE),
);

function podPhase(object: KubeObject): string {
  const { metadata, status } = object as Pod;
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  const reasons = (status.containerStatuses ?? []).map(
    ({ state }) => fieldAt(state, 'waiting.reason') ?? fieldAt(state, 'terminated.reason'),
  );
  return String(reasons.find(Boolean) ?? status.reason ?? status.phase ?? 'Unknown');
}

const ROLE = 'node-role.kubernetes.io/';

export const nodeColumns = named(
  column('Status', (object) => {
    const { spec, status } = object as Node;
    const isKnown = conditionOf(status?.conditions, 'Ready') !== undefined;
    const ready = isKnown ? (isTrue(status?.conditions, 'Ready') ? 'Ready' : 'NotReady') : 'Unknown';
    return spec?.unschedulable ? `${ready},SchedulingDisabled` : ready;
  }),
  column('Roles', ({ metadata }) => {
    const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(ROLE));
    return joined(roles.map((key) => key.slice(ROLE.length)));
  }),
  ageColumn,
  column('Version', field('status.nodeInfo.kubeletVersion')),
  wide('Internal-IP', (object) => {
    const addresses = (object as Node).status?.addresses ?? [];
    return addresses.find(({ type }) => type === 'InternalIP')?.address ?? NONE;
  }),
  wide('External-IP', () => NONE),
  wide('OS-Image', field('status.nodeInfo.osImage', '<unknown>')),
  wide('Kernel-Version', field('status.nodeInfo.kernelVersion', '<unknown>')),
  wide('Container-Runtime', field('status.nodeInfo.containerRuntimeVersion', '<unknown>')),
);

const containers =
  (what: 'name' | 'image'): Cell =>
  (object) =>
    (object as Workload).spec.template.spec.containers.map((container) => container[what] ?? '').join(',');

const workload = (...columns: readonly Column[]) =>
  named(
    ...columns,
    ageColumn,
    wide('Containers', containers('name')),
    wide('Images', containers('image')),
    wide('Selector', (object) => formatLabelSelector((object as Workload).spec.selector) || NONE),
  );

export const deploymentColumns = workload(
  column(
    'Ready',
    (object) => `${(object as Workload).status.readyReplicas ?? 0}/${(object as Workload).spec.replicas}`,
  ),
  number('Up-to-date', (object) => (object as Workload).status.updatedReplicas),
  number('Available', (object) => (object as Workload).status.availableReplicas),
);

export const replicaSetColumns = workload(
  number('Desired', (object) => (object as Workload).spec.replicas),
  number('Current', (object) => (object as Workload).status.replicas),
  number('Ready', (object) => (object as Workload).status.readyReplicas),
);

export const endpointsColumns = named(
  column('Endpoints', (object) => {
    const pairs = listAt(object, 'subsets').flatMap((subset) =>
      listAt(subset, 'ports').flatMap((port) =>
        listAt(subset, 'addresses').map((address) => `${fieldAt(address, 'ip')}:${fieldAt(port, 'port')}`),
      ),
    );
    return some(pairs, NONE);
  }),
  ageColumn,
);

export const endpointSliceColumns = named(
  column('AddressType', field('addressType')),
  column('Ports', (object) => some(listAt(object, 'ports').map((port) => String(fieldAt(port, 'port'))))),
  column('Endpoints', (object) =>
    some(listAt(object, 'endpoints').flatMap((endpoint) => listAt(endpoint, 'addresses').map(String))),
  ),
  ageColumn,
);

const joined = (items: readonly string[], absent = NONE): string => (items.length === 0 ? absent : items.join(','));

/** `a,b,c + 2 more...` */
function some(items: readonly string[], absent = '<unset>'): string {
  const rest = items.length - 3;
  return joined(items.slice(0, 3), absent) + (rest > 0 ? ` + ${rest} more...` : '');
}

/** As kubectl writes durations: two units at most, fewer the longer it is. */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const pair = (large: string, rest: number, unit: string) => (rest === 0 ? large : `${large}${rest}${unit}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return pair(`${minutes}m`, seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return pair(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  return days < 8 ? pair(`${days}d`, hours % 24, 'h') : `${days}d`;
}
