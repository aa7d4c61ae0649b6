/**
 * `cilium/state/services/v1/<cluster>/<namespace>/<name>`: what a cluster shares of one Service. Values keep what was
 * written (the text of addresses, null maps), so that encoding a decoded value gives the same bytes.
 */
import { parseIp } from '../model/ip.ts';
import type { Result } from '../model/result.ts';
import { checkClusterId, checkClusterName, checkSuffix, decoding, type EntryExpectations } from './expectations.ts';
import { goList, goMap, goString, goStringMap, goStruct } from './go-json.ts';
import { excerpt, type Json } from './json-parser.ts';
import { decodeJson, fieldNames, type Problems, readMap, StructReader } from './struct-reader.ts';

/** The keys are `Protocol` and `Port` on the wire: the struct has no JSON tags. */
export interface WirePort {
  /** TCP, UDP, SCTP, ANY or NONE; readers do not check it. */
  readonly protocol: string;
  readonly port: number;
}

/** By port name, which may be empty. */
export type WirePorts = ReadonlyMap<string, WirePort> | null;

export interface WireZone {
  readonly zone: string;
  readonly forZones: readonly string[] | null;
}

export interface WireService {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  /** By address. No reader uses them. */
  readonly frontends: ReadonlyMap<string, WirePorts> | null;
  /** By address. */
  readonly backends: ReadonlyMap<string, WirePorts> | null;
  readonly hostnames: ReadonlyMap<string, string> | null;
  readonly zones: ReadonlyMap<string, WireZone> | null;
  readonly labels: ReadonlyMap<string, string> | null;
  readonly selector: ReadonlyMap<string, string> | null;
  readonly includeExternal: boolean;
  readonly shared: boolean;
  readonly clusterId: number;
}

/**
 * Set to `true` among the labels of an entry whose backends are all terminating, since backends have no state on the wire.
 * Cilium's readers look at no labels and use the backends, as they use those that Cilium's own exporter gives them.
 */
export const TERMINATING_LABEL = 'service.tombolo.io/terminating';

export const MAX_BACKENDS = 65_535;

const SERVICE_FIELDS = fieldNames(
  'cluster',
  'namespace',
  'name',
  'frontends',
  'backends',
  'hostnames',
  'zones',
  'labels',
  'selector',
  'includeExternal',
  'shared',
  'clusterID',
);
const PORT_FIELDS = fieldNames('Protocol', 'Port');
const ZONE_FIELDS = fieldNames('zone', 'forZones');
const HINT_FIELDS = fieldNames('name');
const KUBERNETES_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export const isKubernetesName = (text: string): boolean => KUBERNETES_NAME.test(text);

/** `expected.suffix` is `namespace/name`. */
export function decodeService(value: Uint8Array | string, expected: EntryExpectations): Result<WireService> {
  return decodeJson(decoding('service', expected), value, (json, problems) => {
    const fields = new StructReader(json, '', SERVICE_FIELDS, problems);
    const service = {
      cluster: fields.string('cluster'),
      namespace: readName(fields, 'namespace', problems),
      name: readName(fields, 'name', problems),
      frontends: readEndpoints(fields, 'frontends', problems),
      backends: readEndpoints(fields, 'backends', problems),
      hostnames: fields.stringMap('hostnames'),
      zones: fields.map('zones', (zone, path) => readZone(zone, path, problems)),
      labels: fields.stringMap('labels'),
      selector: fields.stringMap('selector'),
      includeExternal: fields.boolean('includeExternal'),
      shared: fields.boolean('shared'),
      clusterId: fields.uint('clusterID', 0xffff_ffff),
    };
    checkClusterName('cluster', service.cluster, expected, problems);
    checkSuffix('namespace/name', `${service.namespace}/${service.name}`, expected, problems);
    checkClusterId('clusterID', service.clusterId, expected, problems);
    return service;
  });
}

/** Stricter than Cilium, which asks only that it is not empty: these names are printed and become part of keys. */
function readName(fields: StructReader, field: string, problems: Problems): string {
  const name = fields.string(field);
  if (!isKubernetesName(name)) {
    problems.note(`${field} must be the name of a Kubernetes object: current value is ${excerpt(name)}`);
  }
  return name;
}

function readEndpoints(
  fields: StructReader,
  field: 'frontends' | 'backends',
  problems: Problems,
): ReadonlyMap<string, WirePorts> | null {
  const json = fields.raw(field);
  if (json instanceof Map && json.size > MAX_BACKENDS) {
    problems.note(`${field} must be at most ${MAX_BACKENDS}: current value is ${json.size}`);
    return null;
  }
  const endpoints = fields.map(field, (ports, path) =>
    readMap(ports, path, problems, (port, at) => readPort(port, at, problems)),
  );
  for (const address of endpoints?.keys() ?? []) {
    if (!parseIp(address).ok) {
      problems.note(`${field} must be IP addresses without zone or cluster id: current value is ${excerpt(address)}`);
    }
  }
  return endpoints;
}

function readPort(json: Json, path: string, problems: Problems): WirePort {
  const fields = new StructReader(json, path, PORT_FIELDS, problems);
  const port = fields.uint('Port', 65_535);
  if (port === 0) problems.mismatch(fields.pathOf('Port'), 'must be 1-65535', fields.raw('Port'));
  return { protocol: fields.string('Protocol'), port };
}

function readZone(json: Json, path: string, problems: Problems): WireZone {
  const fields = new StructReader(json, path, ZONE_FIELDS, problems);
  return {
    zone: fields.string('zone'),
    forZones: fields.list('forZones', (hint, at) => new StructReader(hint, at, HINT_FIELDS, problems).string('name')),
  };
}

const encodePorts = (ports: WirePorts): string =>
  goMap(ports, ({ protocol, port }) => `{"Protocol":${goString(protocol)},"Port":${port}}`);

const encodeZone = ({ zone, forZones }: WireZone): string =>
  `{"zone":${goString(zone)},"forZones":${goList(forZones, (name) => `{"name":${goString(name)}}`)}}`;

export function encodeService(service: WireService): string {
  return goStruct([
    ['cluster', goString(service.cluster)],
    ['namespace', goString(service.namespace)],
    ['name', goString(service.name)],
    ['frontends', goMap(service.frontends, encodePorts)],
    ['backends', goMap(service.backends, encodePorts)],
    ['hostnames', service.hostnames?.size ? goStringMap(service.hostnames) : undefined],
    ['zones', service.zones?.size ? goMap(service.zones, encodeZone) : undefined],
    ['labels', goStringMap(service.labels)],
    ['selector', goStringMap(service.selector)],
    ['includeExternal', String(service.includeExternal)],
    ['shared', String(service.shared)],
    ['clusterID', String(service.clusterId)],
  ]);
}
