/**
 * The local cluster's facts on their way into the table: Services, EndpointSlices, Namespaces, this agent's Node and
 * its pods, and the ranges of cluster IPs, straight from the Kubernetes API. Knows when all of them have been listed completely.
 */
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { type Collection, followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  nodeNamed,
  podsOn,
  SERVICE_CIDRS,
  SERVICES,
} from '@tombolo/shared/kubernetes/collections.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import type { Cidr, IpAddress } from '@tombolo/shared/model/ip.ts';
import type { LocalService, ServiceKey } from '@tombolo/shared/model/service.ts';
import type { Health, HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { ServiceTable } from './service-table.ts';

export interface LocalClusterOptions {
  readonly client: KubernetesClient;
  readonly table: ServiceTable;
  readonly nodeName: string;
  readonly health: HealthTree;
  readonly log: Logger;
  /** Called after each fact that went into the table. */
  readonly changed: () => void;
  /** This agent's Node; undefined when it is gone. */
  readonly nodeChanged: (node: KubernetesNode | undefined) => void;
  /** The addresses of a pod on this Node; undefined when it has none any more. */
  readonly podChanged: (pod: string, addresses: readonly IpAddress[] | undefined) => void;
}

const NONE: LocalService['selector'] = {};

const SOURCES = ['services', 'endpointslices', 'namespaces', 'node', 'pods', 'servicecidrs'] as const;
type Source = (typeof SOURCES)[number];
/** The agent can do without: an older Kubernetes, or the rights of an older agent, lack them. */
const DISPENSABLE: ReadonlySet<Source> = new Set(['pods', 'servicecidrs']);

export interface LocalCluster {
  /** Resolves when every source has been listed completely once. */
  readonly synced: Promise<void>;
  /** Resolves after `signal` has aborted and every watch has ended. */
  readonly ended: Promise<void>;
}

export function followLocalCluster(options: LocalClusterOptions, signal: AbortSignal): LocalCluster {
  const { client, table, nodeName, health, log } = options;
  const waiting = new Set<Source>(SOURCES);
  let allSynced: () => void;
  const synced = new Promise<void>((resolve) => {
    allSynced = resolve;
  });
  health.expect(...SOURCES.map(partOf));

  const listed = (source: Source): void => {
    waiting.delete(source);
    if (waiting.size === 0) allSynced();
  };
  const follow = <T>(
    source: Source,
    collection: Collection<T>,
    set: (key: string, value: T | undefined) => void,
  ): Promise<void> => {
    const handler = {
      changed: (key: string, value: T | undefined) => {
        set(key, value);
        options.changed();
      },
      synced: () => listed(source),
      refused: (key: string, reason: string) =>
        log.warn({ source, key, reason }, 'Refused an object of the local cluster'),
    };
    const report = (state: Health): void => {
      health.report(partOf(source), state);
      if (DISPENSABLE.has(source)) listed(source);
    };
    return followCollection(client, collection, handler, signal, log, { report });
  };
  const serviceRanges = new Map<string, readonly Cidr[]>();
  const watches = [
    // Selectors are for those who export.
    follow('services', SERVICES, (key, service) =>
      table.local.setService(key as ServiceKey, service && { ...service, selector: NONE }),
    ),
    follow('endpointslices', ENDPOINT_SLICES, (key, slice) => table.local.setSlice(key, slice)),
    follow('namespaces', NAMESPACES, (name, namespace) => table.local.setNamespace(name, namespace)),
    follow('servicecidrs', SERVICE_CIDRS, (name, ranges) => {
      if (ranges) serviceRanges.set(name, ranges);
      else serviceRanges.delete(name);
      table.setServiceRanges([...serviceRanges.values()].flat());
    }),
    follow('node', nodeNamed(nodeName), (_, node) => {
      if (node) table.setNode(node);
      options.nodeChanged(node);
    }),
    follow('pods', podsOn(nodeName), options.podChanged),
  ];
  return { synced, ended: Promise.all(watches).then(() => {}) };
}

const partOf = (source: Source): string => `kubernetes/${source}`;
