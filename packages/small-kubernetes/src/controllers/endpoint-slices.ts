/**
 * EndpointSlices (and the older Endpoints) of Services with a selector, as a controller-manager keeps them. Hears of
 * Services, Pods and Nodes, looks at the Services concerned again, and writes what differs.
 */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { type Pod, type Service, tables } from '../api/kinds/typed.ts';
import { matchesMap } from '../api/label-selector.ts';
import { controlledBy, draftOf, type KubeObject, type StringMap } from '../api/objects.ts';
import type { Operations } from '../api/operations.ts';
import { keyOf, spaceOf } from '../api/store.ts';
import { Controller } from './controller.ts';
import { planSlices, type SliceContent, subsetsOf } from './service-endpoints.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const MANAGER = 'endpointslice-controller.k8s.io';
const HEADLESS = 'service.kubernetes.io/headless';
const ZONE = 'topology.kubernetes.io/zone';

type Slice = KubeObject & SliceContent;

export class EndpointSliceController extends Controller {
  constructor(operations: Operations, log: Logger) {
    super(operations, log);
    this.follow(tables.services, ({ object }) => this.mark(keyOf(object)));
    this.follow(tables.pods, ({ object, previous }) => {
      for (const service of this.store.list(tables.services, spaceOf(object))) {
        const selects = ({ metadata }: KubeObject) => matchesMap((service as Service).spec.selector, metadata.labels);
        if (selects(object) || (previous && selects(previous))) this.mark(keyOf(service));
      }
    });
    this.follow(tables.nodes, ({ type, object, previous }) => {
      // Only the zone of a node shows in slices.
      if (type === 'MODIFIED' && previous?.metadata.labels?.[ZONE] === object.metadata.labels?.[ZONE]) return;
      for (const service of this.store.list(tables.services)) this.mark(keyOf(service));
    });
    // A slice that somebody changed or deleted is put right again.
    this.follow(tables.endpointSlices, ({ object: { metadata } }) => {
      if (metadata.labels?.[MANAGED_BY] === MANAGER)
        this.mark(`${metadata.namespace}/${metadata.labels[SERVICE_NAME]}`);
    });
  }

  protected reconcile(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    const service = this.store.find(tables.services, key) as Service | undefined;
    const slices = this.store
      .list(tables.endpointSlices, namespace)
      .filter(({ metadata: { labels = {} } }) => labels[SERVICE_NAME] === name && labels[MANAGED_BY] === MANAGER);
    if (!service || !isSelecting(service) || service.metadata.deletionTimestamp !== undefined) {
      for (const slice of slices) this.operations.deleteObject(slice);
      return;
    }
    const selects = ({ metadata }: KubeObject) => matchesMap(service.spec.selector, metadata.labels);
    const pods = this.store.list(tables.pods, namespace).filter(selects) as Pod[];
    const zoneOf = (node: string) => this.store.get(tables.nodes, '', node)?.metadata.labels?.[ZONE];
    const planned = planSlices(service, pods, zoneOf);
    this.#writeSlices(service, planned, slices as Slice[]);
    this.#writeEndpoints(service, planned);
  }

  /** A slice may pass to other ports or pods, but not to another family. */
  #writeSlices(service: Service, planned: readonly SliceContent[], slices: readonly Slice[]): void {
    const spare = new Set(slices);
    const own = { labels: labelsOf(service), ownerReferences: [controlledBy(service)] };
    for (const content of planned) {
      const slice = [...spare].find(({ addressType }) => addressType === content.addressType);
      if (slice) {
        spare.delete(slice);
        this.operations.change(slice, (draft) => {
          Object.assign(draft, draftOf(content));
          Object.assign(draft.metadata, own);
        });
      } else {
        const metadata = { ...own, generateName: `${service.metadata.name}-`, namespace: spaceOf(service) };
        this.operations.createObject({
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata,
          ...content,
        });
      }
    }
    for (const slice of spare) this.operations.deleteObject(slice);
  }

  /** What an old kubectl describes. */
  #writeEndpoints(service: Service, planned: readonly SliceContent[]): void {
    const { name, namespace = '' } = service.metadata;
    const subsets = subsetsOf(planned);
    const existing = this.store.find(tables.endpoints, keyOf(service));
    if (existing) this.operations.change(existing, (draft) => void Object.assign(draft, { subsets }));
    else {
      const metadata = { name, namespace, ownerReferences: [controlledBy(service)] };
      this.operations.createObject({ apiVersion: 'v1', kind: 'Endpoints', metadata, subsets });
    }
  }
}

const isSelecting = ({ spec }: Service): boolean =>
  spec.type !== 'ExternalName' && Object.keys(spec.selector ?? {}).length > 0;

const labelsOf = ({ metadata, spec }: Service): StringMap => ({
  ...metadata.labels,
  ...(spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {}),
  [SERVICE_NAME]: metadata.name,
  [MANAGED_BY]: MANAGER,
});
