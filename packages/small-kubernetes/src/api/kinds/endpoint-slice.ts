/** EndpointSlices of `v1beta1`, which told node and zone of an endpoint in a map of labels. */
import { isJsonObject, type KubeObject } from '../objects.ts';

export function asBetaEndpointSlice(stored: KubeObject): KubeObject {
  const { endpoints } = stored;
  if (!Array.isArray(endpoints)) return stored;
  return {
    ...stored,
    endpoints: endpoints.map((endpoint: unknown) => (isJsonObject(endpoint) ? withTopology(endpoint) : endpoint)),
  };
}

function withTopology({ zone, ...endpoint }: { [field: string]: unknown }) {
  const topology = {
    ...(endpoint['nodeName'] === undefined ? {} : { 'kubernetes.io/hostname': endpoint['nodeName'] }),
    ...(zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }),
  };
  return { ...endpoint, topology };
}
