/** EndpointSlices as the model has them, with the defaults of conditions and ports filled in. */
import {
  type BackendPort,
  type LocalEndpoint,
  type LocalEndpointSlice,
  type Origin,
  serviceKey,
} from '../model/service.ts';
import type { Conversion } from './conversion.ts';
import {
  addressesAmong,
  converting,
  type Fields,
  fieldsOf,
  flagOf,
  isPort,
  listOf,
  recordsOf,
  textOf,
  textsOf,
} from './fields.ts';
import { oneCopy } from './one-copy.ts';
import { protocolOf } from './protocol.ts';

type Warn = (sentence: string) => void;

/** Slices that a mesh made of remote endpoints: to take them for local ones would send the mesh's own words back. */
const MESH_CONTROLLER = 'endpointslice-mesh-controller.cilium.io';

export function convertEndpointSlice(object: Fields, at: number): Conversion<LocalEndpointSlice> {
  return converting((warn) => {
    const metadata = fieldsOf(object, 'metadata');
    const labels = textsOf(metadata, 'labels', 'metadata.labels');
    const service = labels['kubernetes.io/service-name'] ?? '';
    if (service === '' || 'service.kubernetes.io/service-proxy-name' in labels) return undefined;
    if (labels['endpointslice.kubernetes.io/managed-by'] === MESH_CONTROLLER) return undefined;
    const family = textOf(object, 'addressType');
    if (family !== 'IPv4' && family !== 'IPv6') return undefined;
    const namespace = textOf(metadata, 'namespace', 'metadata.namespace');
    const origin: Origin = {
      source: 'kubernetes',
      revision: textOf(metadata, 'resourceVersion', 'metadata.resourceVersion'),
      at,
    };
    const slicePorts = ports(object, warn);
    return {
      key: `${namespace}/${textOf(metadata, 'name', 'metadata.name')}`,
      service: serviceKey(namespace, service),
      headless: 'service.kubernetes.io/headless' in labels,
      endpoints: recordsOf(object, 'endpoints').flatMap((each, i) =>
        endpoints(each, `endpoints[${i}]`, slicePorts, origin, warn),
      ),
    };
  });
}

function endpoints(
  endpoint: Fields,
  path: string,
  ports: readonly BackendPort[],
  origin: Origin,
  warn: Warn,
): readonly LocalEndpoint[] {
  const conditions = fieldsOf(endpoint, 'conditions', `${path}.conditions`);
  const hints = fieldsOf(endpoint, 'hints', `${path}.hints`);
  const ready = flagOf(conditions, 'ready', true, `${path}.conditions.ready`);
  const shared = {
    ports,
    ready,
    serving: flagOf(conditions, 'serving', ready, `${path}.conditions.serving`),
    terminating: flagOf(conditions, 'terminating', false, `${path}.conditions.terminating`),
    node: oneCopy(textOf(endpoint, 'nodeName', `${path}.nodeName`)),
    zone: oneCopy(zoneOf(endpoint, path)),
    zoneHints: namesOf(hints, 'forZones', `${path}.hints.forZones`),
    nodeHints: namesOf(hints, 'forNodes', `${path}.hints.forNodes`),
    hostname: textOf(endpoint, 'hostname', `${path}.hostname`),
    origin,
  };
  return addressesAmong(listOf(endpoint, 'addresses', `${path}.addresses`), `${path}.addresses`, warn).map(
    (address) => ({ address, ...shared }),
  );
}

const NONE: readonly string[] = [];

function namesOf(hints: Fields, list: string, path: string): readonly string[] {
  const records = recordsOf(hints, list, path);
  return records.length === 0 ? NONE : records.map((each) => oneCopy(textOf(each, 'name')));
}

function zoneOf(endpoint: Fields, path: string): string {
  const zone = textOf(endpoint, 'zone', `${path}.zone`);
  if (zone !== '') return zone;
  return textsOf(endpoint, 'deprecatedTopology', `${path}.deprecatedTopology`)['topology.kubernetes.io/zone'] ?? '';
}

function ports(object: Fields, warn: Warn): readonly BackendPort[] {
  return recordsOf(object, 'ports').flatMap((each, i) => {
    const path = `ports[${i}]`;
    const port = each['port'] ?? undefined;
    // No number means every port, which nothing here can balance.
    if (port === undefined) return [];
    const protocol = protocolOf(each, path, warn);
    if (!isPort(port)) warn(`${path} left out: port must be 1-65535: current value is ${JSON.stringify(port)}`);
    return protocol === undefined || !isPort(port)
      ? []
      : [{ name: textOf(each, 'name', `${path}.name`), protocol, port }];
  });
}
