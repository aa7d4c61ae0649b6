/** The collections that Tombolo follows. Each promise resolves when `signal` aborts. */
import type { Cidr } from '../model/ip.ts';
import type { LocalEndpointSlice, LocalNamespace, LocalService } from '../model/service.ts';
import type { Logger } from '../process/logger.ts';
import type { KubernetesClient } from './client.ts';
import { followCollection, type WatchOptions } from './collection.ts';
import { convertEndpointSlice } from './endpoint-slice-object.ts';
import type { ChangeHandler } from './informer.ts';
import { convertNamespace } from './namespace-object.ts';
import { convertNode, type KubernetesNode } from './node-object.ts';
import { convertPod, type KubernetesPod } from './pod-object.ts';
import { convertServiceCidr } from './service-cidr-object.ts';
import { convertService } from './service-object.ts';

type Watch<T> = (
  client: KubernetesClient,
  handler: ChangeHandler<T>,
  signal: AbortSignal,
  log: Logger,
  options?: WatchOptions,
) => Promise<void>;

/** The server leaves out what another proxy serves and what a mesh controller made; the converters check again. */
const NOT_PROXIED = '!service.kubernetes.io/service-proxy-name';
const NOT_MESH = 'endpointslice.kubernetes.io/managed-by!=endpointslice-mesh-controller.cilium.io';

export const watchServices: Watch<LocalService> = (client, handler, signal, log, options) => {
  const selectors = { labelSelector: NOT_PROXIED };
  return followCollection(
    client,
    { path: '/api/v1/services', selectors, convert: convertService },
    handler,
    signal,
    log,
    options,
  );
};

export const watchEndpointSlices: Watch<LocalEndpointSlice> = (client, handler, signal, log, options) => {
  const path = '/apis/discovery.k8s.io/v1/endpointslices';
  const selectors = { labelSelector: `${NOT_PROXIED},${NOT_MESH}` };
  return followCollection(client, { path, selectors, convert: convertEndpointSlice }, handler, signal, log, options);
};

export interface NodeWatchOptions extends WatchOptions {
  /** One node only. */
  readonly name?: string;
}

export function watchNodes(
  client: KubernetesClient,
  handler: ChangeHandler<KubernetesNode>,
  signal: AbortSignal,
  log: Logger,
  options: NodeWatchOptions = {},
): Promise<void> {
  const selectors = options.name === undefined ? {} : { fieldSelector: `metadata.name=${options.name}` };
  return followCollection(
    client,
    { path: '/api/v1/nodes', selectors, convert: convertNode },
    handler,
    signal,
    log,
    options,
  );
}

export const watchNamespaces: Watch<LocalNamespace> = (client, handler, signal, log, options) =>
  followCollection(client, { path: '/api/v1/namespaces', convert: convertNamespace }, handler, signal, log, options);

/** Kubernetes before 1.33 has none: then nothing is known of them. */
export const watchServiceCidrs: Watch<readonly Cidr[]> = (client, handler, signal, log, options) => {
  const path = '/apis/networking.k8s.io/v1/servicecidrs';
  const collection = { path, convert: convertServiceCidr };
  return followCollection(client, collection, handler, signal, log, { ...options, isOptional: true });
};

/** Pods at their end have no claim to an address any more: the server leaves them out. */
export const watchPods: Watch<KubernetesPod> = (client, handler, signal, log, options) => {
  const selectors = { fieldSelector: 'status.phase=Running' };
  return followCollection(
    client,
    { path: '/api/v1/pods', selectors, convert: convertPod },
    handler,
    signal,
    log,
    options,
  );
};
