/** What `kubectl get` shows of each kind: the heads of its columns, and a row for each object. */
import { isTrue } from './kinds/conditions.ts';
import type { Node, Pod, Service, Workload } from './kinds/typed.ts';
import { formatSelector } from './label-selector.ts';
import { fieldAt, type JsonObject, type KubeObject, listAt } from './objects.ts';

type Cell = string | number;

export interface Table {
  readonly columns: readonly JsonObject[];
  row(object: KubeObject, now: Date): readonly Cell[];
}

/** Heads are separated by `|`; a `*` marks one for `-o wide` only. Name and age need not be told. */
function table<T extends KubeObject>(heads: string, cells: (object: T, age: string) => readonly unknown[]): Table {
  const columns = ['Name', ...heads.split('|')].map((head) => ({
    name: head.replace('*', ''),
    type: 'string',
    format: head === 'Name' ? 'name' : '',
    description: '',
    priority: head.endsWith('*') ? 1 : 0,
  }));
  const row = (object: KubeObject, now: Date) => {
    const { name, creationTimestamp } = object.metadata;
    const age = humanDuration(now.getTime() - Date.parse(creationTimestamp));
    return [name, ...cells(object as T, age).map((cell) => (typeof cell === 'number' ? cell : String(cell ?? '')))];
  };
  return { columns, row };
}

const NONE = '<none>';
const sizeOf = (map: unknown): number => Object.keys((map as object | undefined) ?? {}).length;
const joined = (items: readonly unknown[], absent = NONE): string => (items.length === 0 ? absent : items.join(','));

/** `a,b,c + 2 more...` */
function some(items: readonly unknown[]): string {
  const rest = items.length - 3;
  return joined(items.slice(0, 3)) + (rest > 0 ? ` + ${rest} more...` : '');
}

export const plainTable = table('Age', (_, age) => [age]);
export const configMapTable = table('Data|Age', ({ data }, age) => [sizeOf(data), age]);
export const secretTable = table('Type|Data|Age', ({ type, data }, age) => [type, sizeOf(data), age]);
export const namespaceTable = table('Status|Age', ({ status }, age) => [fieldAt(status, 'phase'), age]);

export const serviceTable = table<Service>(
  'Type|Cluster-IP|External-IP|Port(s)|Age|Selector*',
  ({ spec, status }, age) => {
    const { type, clusterIP = NONE, externalName = NONE, externalIPs = [], ports = [], selector } = spec;
    const given = listAt(status, 'loadBalancer.ingress').map((entry) => fieldAt(entry, 'ip'));
    const external = joined([...given, ...externalIPs], type === 'LoadBalancer' ? '<pending>' : NONE);
    const shown = ports.map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol}`);
    const selects = formatSelector(selector) || NONE;
    return [type, clusterIP, type === 'ExternalName' ? externalName : external, joined(shown), age, selects];
  },
);

export const podTable = table<Pod>(
  'Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*',
  ({ metadata, spec, status }, age) => {
    const { containerStatuses = [], podIP = NONE } = status;
    const waiting = containerStatuses.map(({ state }) => fieldAt(state, 'waiting.reason'));
    const phase = waiting.find(Boolean) ?? status.phase ?? 'Unknown';
    const ready = containerStatuses.filter((container) => container.ready).length;
    const restarts = containerStatuses.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0);
    const shown = metadata.deletionTimestamp === undefined ? phase : 'Terminating';
    const of = `${ready}/${spec.containers.length}`;
    return [of, shown, restarts, age, podIP, spec.nodeName ?? NONE, NONE, NONE];
  },
);

export const nodeTable = table<Node>(
  'Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*',
  ({ spec, status }, age) => {
    const ready = isTrue(status?.conditions, 'Ready') ? 'Ready' : 'NotReady';
    const address = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? NONE;
    const info = (field: string) => fieldAt(status, `nodeInfo.${field}`) ?? '<unknown>';
    const shown = spec.unschedulable ? `${ready},SchedulingDisabled` : ready;
    const system = ['osImage', 'kernelVersion', 'containerRuntimeVersion'].map(info);
    return [shown, NONE, age, info('kubeletVersion'), address, NONE, ...system];
  },
);

const workloadTable = (heads: string, counts: (workload: Workload) => readonly (Cell | undefined)[]) =>
  table<Workload>(`${heads}|Age|Containers*|Images*|Selector*`, (workload, age) => {
    const { template, selector } = workload.spec;
    const names = (field: 'name' | 'image') => joined(template.spec.containers.map((container) => container[field]));
    const shown = counts(workload).map((count) => count ?? 0);
    return [...shown, age, names('name'), names('image'), formatSelector(selector.matchLabels) || NONE];
  });

export const deploymentTable = workloadTable('Ready|Up-to-date|Available', ({ spec, status }) => [
  `${status.readyReplicas ?? 0}/${spec.replicas}`,
  status.updatedReplicas,
  status.availableReplicas,
]);

export const replicaSetTable = workloadTable('Desired|Current|Ready', ({ spec, status }) => [
  spec.replicas,
  status.replicas,
  status.readyReplicas,
]);

export const endpointsTable = table('Endpoints|Age', ({ subsets }, age) => {
  const pairs = listAt({ subsets }, 'subsets').flatMap((subset) =>
    listAt(subset, 'addresses').flatMap((address) =>
      listAt(subset, 'ports').map((port) => `${fieldAt(address, 'ip')}:${fieldAt(port, 'port')}`),
    ),
  );
  return [some(pairs), age];
});

export const endpointSliceTable = table('AddressType|Ports|Endpoints|Age', (slice, age) => {
  const ports = listAt(slice, 'ports').map((port) => fieldAt(port, 'port'));
  const addresses = listAt(slice, 'endpoints').flatMap((endpoint) => listAt(endpoint, 'addresses'));
  return [slice['addressType'], some(ports), some(addresses), age];
});

/** As kubectl writes durations, but for the second unit: fewer digits the longer it is. */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 3 * 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
