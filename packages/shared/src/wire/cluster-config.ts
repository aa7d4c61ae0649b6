/** `cilium/cluster-config/<cluster>`: the id of a cluster and what its etcd offers. Always required by readers. */
import type { MaxClusters } from '../model/cluster.ts';
import type { Result } from '../model/result.ts';
import { decoding } from './expectations.ts';
import { goStruct, unlessEmpty } from './go-json.ts';
import { excerpt } from './json-parser.ts';
import { decodeJson, fieldNames, type Problems, StructReader } from './struct-reader.ts';

export const ENDPOINT_SLICE_MODES = ['', 'services-and-endpointslices', 'endpointslices-only'] as const;

export interface WireClusterConfig {
  readonly id: number;
  /** Canaries tell when each prefix is complete. */
  readonly syncedCanaries: boolean;
  /** The data is a mirror's, under `cilium/cache`. */
  readonly cached: boolean;
  /** 0 when not said. */
  readonly maxConnectedClusters: number;
  /** Undefined when the writer does not know the Multi-Cluster Services API. */
  readonly serviceExportsEnabled?: boolean | undefined;
  readonly endpointSlicesExportMode: (typeof ENDPOINT_SLICE_MODES)[number];
}

const CONFIG_FIELDS = fieldNames('id', 'capabilities');
const CAPABILITY_FIELDS = fieldNames(
  'syncedCanaries',
  'cached',
  'maxConnectedClusters',
  'serviceExportsEnabled',
  'endpointSlicesExportMode',
);
const UINT32 = 0xffff_ffff;

export interface ClusterConfigExpectations {
  readonly cluster: string;
  /** The limit of the reader's own mesh. */
  readonly maxClusters: MaxClusters;
}

export function decodeClusterConfig(
  value: Uint8Array | string,
  expected: ClusterConfigExpectations,
): Result<WireClusterConfig> {
  const what = decoding('cluster configuration', { suffix: expected.cluster, cluster: expected.cluster });
  return decodeJson(what, value, (json, problems) => {
    const fields = new StructReader(json, '', CONFIG_FIELDS, problems);
    const path = 'capabilities';
    const capabilities = new StructReader(fields.raw(path) ?? null, path, CAPABILITY_FIELDS, problems);
    const id = fields.uint('id', UINT32);
    const maxConnectedClusters = capabilities.uint('maxConnectedClusters', UINT32);
    checkLimits(id, maxConnectedClusters, expected.maxClusters, problems);
    return {
      id,
      syncedCanaries: capabilities.boolean('syncedCanaries'),
      cached: capabilities.boolean('cached'),
      maxConnectedClusters,
      serviceExportsEnabled: capabilities.optionalBoolean('serviceExportsEnabled'),
      endpointSlicesExportMode: readMode(capabilities, problems),
    };
  });
}

/** A mesh of 511 numbers identities differently, so it insists that the other side does so too; one of 255 does not. */
function checkLimits(id: number, remoteMax: number, localMax: MaxClusters, problems: Problems): void {
  if (id < 1 || id > localMax) problems.note(`id must be 1-${localMax}: current value is ${id}`);
  if (localMax !== 255 && remoteMax !== localMax) {
    problems.note(`capabilities.maxConnectedClusters must be ${localMax} as here: current value is ${remoteMax}`);
  }
}

function readMode(capabilities: StructReader, problems: Problems): (typeof ENDPOINT_SLICE_MODES)[number] {
  const text = capabilities.string('endpointSlicesExportMode');
  const mode = ENDPOINT_SLICE_MODES.find((known) => known === text);
  if (mode === undefined) {
    const known = ENDPOINT_SLICE_MODES.map((name) => JSON.stringify(name)).join(', ');
    const path = capabilities.pathOf('endpointSlicesExportMode');
    problems.note(`${path} must be one of ${known}: current value is ${excerpt(text)}`);
  }
  return mode ?? '';
}

const ifTrue = (flag: boolean): string | undefined => (flag ? 'true' : undefined);
const unlessZero = (number: number): string | undefined => (number === 0 ? undefined : String(number));

export function encodeClusterConfig(config: WireClusterConfig): string {
  return goStruct([
    ['id', unlessZero(config.id)],
    [
      'capabilities',
      goStruct([
        ['syncedCanaries', ifTrue(config.syncedCanaries)],
        ['cached', ifTrue(config.cached)],
        ['maxConnectedClusters', unlessZero(config.maxConnectedClusters)],
        ['serviceExportsEnabled', config.serviceExportsEnabled?.toString()],
        ['endpointSlicesExportMode', unlessEmpty(config.endpointSlicesExportMode)],
      ]),
    ],
  ]);
}
