/**
 * The local cluster's facts on their way into the table: Services, EndpointSlices and this agent's Node, straight from
 * the Kubernetes API. Knows when all of them have been listed completely.
 */
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { ChangeHandler } from '@tombolo/shared/kubernetes/informer.ts';
import type { KubernetesNode } from '@tombolo/shared/kubernetes/node-object.ts';
import { watchEndpointSlices, watchNodes, watchServices } from '@tombolo/shared/kubernetes/watches.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
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
}

const SOURCES = ['services', 'endpointslices', 'node'] as const;
type Source = (typeof SOURCES)[number];

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

  const handler = <T>(source: Source, set: (key: string, value: T | undefined) => void): ChangeHandler<T> => ({
    changed: (key, value) => {
      set(key, value);
      options.changed();
    },
    synced: () => {
      waiting.delete(source);
      if (waiting.size === 0) allSynced();
    },
    refused: (key, reason) => log.warn({ source, key, reason }, 'Refused an object of the local cluster'),
  });
  const watchOptions = (source: Source) => ({
    report: (state: Parameters<HealthTree['report']>[1]) => health.report(partOf(source), state),
  });

  const watches = [
    watchServices(
      client,
      handler('services', (key, service) => table.setService(key as ServiceKey, service)),
      signal,
      log,
      watchOptions('services'),
    ),
    watchEndpointSlices(
      client,
      handler('endpointslices', (key, slice) => table.setSlice(key, slice)),
      signal,
      log,
      watchOptions('endpointslices'),
    ),
    watchNodes(
      client,
      handler<KubernetesNode>('node', (_, node) => {
        if (node) table.setNode(node);
        options.nodeChanged(node);
      }),
      signal,
      log,
      { ...watchOptions('node'), name: nodeName },
    ),
  ];
  return { synced, ended: Promise.all(watches).then(() => {}) };
}

const partOf = (source: Source): string => `kubernetes/${source}`;
