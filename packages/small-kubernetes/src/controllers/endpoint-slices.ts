/**
 * EndpointSlices (and the older Endpoints) of Services with a selector, as a controller-manager keeps them. Hears of
 * Services, Pods and Nodes, looks at the Services concerned again, and writes what differs.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Pod, type Service, tables } from '../api/kinds/typed.ts';
import { selectorOfMap } from '../api/label-selector.ts';
import { draftOf, type JsonObject, type KubeObject, type OwnerReference, type StringMap } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { type Change, keyOf, spaceOf } from '../api/store.ts';
import {
  type AddressType,
  addressTypesOf,
  type Endpoint,
  type EndpointPort,
  endpointsOf,
  type ServiceEndpoint,
  subsetsOf,
} from './service-endpoints.ts';
import { type PlannedSlice, planSlices } from './slice-plan.ts';
import { WorkQueue } from './work-queue.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const MANAGER = 'endpointslice-controller.k8s.io';
const HEADLESS = 'service.kubernetes.io/headless';
const ZONE = 'topology.kubernetes.io/zone';

interface SliceObject extends KubeObject {
  addressType: AddressType;
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

export class EndpointSliceController {
  readonly #operations: Operations;
  readonly #queue: WorkQueue;
  readonly #stops: readonly (() => void)[];

  constructor(operations: Operations, log: Logger) {
    this.#operations = operations;
    const { store } = operations;
    this.#queue = new WorkQueue((key) => this.#reconcile(key), log);
    this.#stops = [
      store.subscribe(tables.services, ({ object }) => this.#queue.mark(keyOf(object))),
      store.subscribe(tables.pods, (change) => this.#hearPod(change)),
      store.subscribe(tables.nodes, (change) => this.#hearNode(change)),
      store.subscribe(tables.endpointSlices, ({ object }) => this.#hearSlice(object)),
    ];
    for (const service of store.all(tables.services)) this.#queue.mark(keyOf(service));
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#queue.close();
  }

  #hearPod({ object, previous }: Change): void {
    for (const service of this.#operations.store.all(tables.services, spaceOf(object))) {
      const selects = selectorOfMap((service as Service).spec.selector);
      if (selects(object.metadata.labels) || (previous && selects(previous.metadata.labels)))
        this.#queue.mark(keyOf(service));
    }
  }

  /** Only the zone of a node shows in slices. */
  #hearNode({ type, object, previous }: Change): void {
    if (type === 'MODIFIED' && previous?.metadata.labels?.[ZONE] === object.metadata.labels?.[ZONE]) return;
    for (const pod of this.#operations.store.all(tables.pods)) {
      if ((pod as Pod).spec.nodeName !== object.metadata.name) continue;
      this.#hearPod({ type: 'MODIFIED', table: tables.pods, revision: 0, object: pod, previous: undefined });
    }
  }

  /** A slice that somebody changed or deleted is put right again. */
  #hearSlice({ metadata }: KubeObject): void {
    const service = metadata.labels?.[SERVICE_NAME];
    if (service !== undefined && metadata.labels?.[MANAGED_BY] === MANAGER)
      this.#queue.mark(`${metadata.namespace}/${service}`);
  }

  #reconcile(key: string): void {
    const { store } = this.#operations;
    const [namespace = '', name = ''] = key.split('/');
    const service = store.get(tables.services, namespace, name) as Service | undefined;
    const slices = [...store.all(tables.endpointSlices, namespace)].filter(
      ({ metadata }) => metadata.labels?.[SERVICE_NAME] === name && metadata.labels[MANAGED_BY] === MANAGER,
    ) as SliceObject[];
    if (!service || !isSelecting(service) || service.metadata.deletionTimestamp !== undefined) {
      for (const slice of slices) this.#operations.deleteObject(slice);
      return;
    }
    const endpoints = this.#endpointsOf(service);
    const existing = slices.map(({ metadata, addressType, ports, endpoints }) => ({
      name: metadata.name,
      addressType,
      ports,
      endpoints,
    }));
    const plan = planSlices(existing, endpoints, addressTypesOf(service));
    for (const planned of plan.slices) this.#write(service, planned, slices);
    for (const slice of slices) if (plan.remove.includes(slice.metadata.name)) this.#operations.deleteObject(slice);
    this.#writeEndpoints(service, endpoints);
  }

  #endpointsOf(service: Service): ServiceEndpoint[] {
    const { store } = this.#operations;
    const selects = selectorOfMap(service.spec.selector);
    const pods = [...store.all(tables.pods, spaceOf(service))].filter(({ metadata }) =>
      selects(metadata.labels),
    ) as Pod[];
    return endpointsOf(service, pods, (node) => store.get(tables.nodes, '', node)?.metadata.labels?.[ZONE]);
  }

  #write(
    service: Service,
    { name, addressType, ports, endpoints }: PlannedSlice,
    slices: readonly SliceObject[],
  ): void {
    const content = { addressType, ports, endpoints };
    const existing = slices.find(({ metadata }) => metadata.name === name);
    const metadata = { labels: labelsOf(service), ownerReferences: [ownerOf(service)] };
    if (existing) {
      this.#operations.change(existing, (draft) => {
        Object.assign(draft, draftOf(content));
        Object.assign(draft.metadata, metadata);
      });
      return;
    }
    this.#operations.createObject({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { generateName: `${service.metadata.name}-`, namespace: spaceOf(service), ...metadata },
      ...content,
    });
  }

  /** What kubectl describe shows, and what older programs read. */
  #writeEndpoints(service: Service, endpoints: readonly ServiceEndpoint[]): void {
    const { metadata } = service;
    const subsets = subsetsOf(endpoints, addressTypesOf(service)[0] ?? 'IPv4');
    const existing = this.#operations.store.get(tables.endpoints, spaceOf(service), metadata.name);
    const content: JsonObject = subsets.length > 0 ? { subsets } : {};
    if (existing) {
      this.#operations.change(existing, (draft) => {
        delete draft['subsets'];
        Object.assign(draft, draftOf(content));
      });
      return;
    }
    this.#operations.createObject({
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: {
        name: metadata.name,
        namespace: spaceOf(service),
        labels: { ...metadata.labels },
        ownerReferences: [ownerOf(service)],
      },
      ...content,
    });
  }
}

const isSelecting = ({ spec }: Service): boolean =>
  spec.type !== 'ExternalName' && spec.selector !== undefined && Object.keys(spec.selector).length > 0;

function labelsOf({ metadata, spec }: Service): StringMap {
  return {
    ...metadata.labels,
    ...(spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {}),
    [SERVICE_NAME]: metadata.name,
    [MANAGED_BY]: MANAGER,
  };
}

const ownerOf = ({ metadata }: Service): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'Service',
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});
