/** EndpointSlices as the model has them, with the defaults of conditions and ports filled in. */
import {
  type BackendPort,
  type LocalEndpoint,
  type LocalEndpointSlice,
  type Origin,
  serviceKey,
} from '../model/service.ts';
import { addressesAmong, converter, type Fields, originOf, portOf, type Warn } from './fields.ts';
import { oneCopy } from './one-copy.ts';

/** Slices that a mesh made of remote endpoints: to take them for local ones would send the mesh's own words back. */
const MESH_CONTROLLER = 'endpointslice-mesh-controller.cilium.io';

export const convertEndpointSlice = converter<LocalEndpointSlice>((object, warn, at) => {
  const metadata = object.object('metadata');
  const labels = metadata.texts('labels');
  const service = labels['kubernetes.io/service-name'] ?? '';
  if (service === '' || 'service.kubernetes.io/service-proxy-name' in labels) return undefined;
  if (labels['endpointslice.kubernetes.io/managed-by'] === MESH_CONTROLLER) return undefined;
  if (!['IPv4', 'IPv6'].includes(object.text('addressType'))) return undefined;
  const namespace = metadata.text('namespace');
  const origin = originOf(metadata, at);
  const slicePorts = ports(object, warn);
  return {
    key: `${namespace}/${metadata.text('name')}`,
    service: serviceKey(namespace, service),
    headless: 'service.kubernetes.io/headless' in labels,
    endpoints: object.objects('endpoints').flatMap((each) => endpoints(each, slicePorts, origin, warn)),
  };
});

/** One for each address. */
function endpoints(
  endpoint: Fields,
  ports: readonly BackendPort[],
  origin: Origin,
  warn: Warn,
): readonly LocalEndpoint[] {
  const conditions = endpoint.object('conditions');
  const hints = endpoint.object('hints');
  const ready = conditions.flag('ready', true);
  const shared = {
    ports,
    ready,
    serving: conditions.flag('serving', ready),
    terminating: conditions.flag('terminating', false),
    node: oneCopy(endpoint.text('nodeName')),
    zone: oneCopy(zoneOf(endpoint)),
    zoneHints: namesOf(hints, 'forZones'),
    nodeHints: namesOf(hints, 'forNodes'),
    hostname: endpoint.text('hostname'),
    ...podOf(endpoint.object('targetRef')),
    origin,
  };
  const addresses = addressesAmong(endpoint.list('addresses'), endpoint.pathOf('addresses'), warn);
  return addresses.map((address) => ({ address, ...shared }));
}

const NONE: readonly string[] = [];

function namesOf(hints: Fields, list: string): readonly string[] {
  const objects = hints.objects(list);
  return objects.length === 0 ? NONE : objects.map((each) => oneCopy(each.text('name')));
}

const podOf = (target: Fields): { readonly pod?: string } =>
  target.text('kind') === 'Pod' ? { pod: target.text('name') } : {};

const zoneOf = (endpoint: Fields): string =>
  endpoint.text('zone') || (endpoint.texts('deprecatedTopology')['topology.kubernetes.io/zone'] ?? '');

function ports(slice: Fields, warn: Warn): readonly BackendPort[] {
  // No number means every port, which nothing here can balance.
  const numbered = slice.objects('ports').filter(({ json }) => (json['port'] ?? undefined) !== undefined);
  return numbered.map((each) => portOf(each, warn)).filter((port) => port !== undefined);
}
