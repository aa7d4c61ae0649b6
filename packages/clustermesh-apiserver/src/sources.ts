/** The five collections of the Kubernetes API that are followed, and what is told of each change. */
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { type Collection, followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import { ENDPOINT_SLICES, NAMESPACES, NODES, PODS, SERVICES } from '@tombolo/shared/kubernetes/collections.ts';
import type { LocalFacts } from '@tombolo/shared/local/local-facts.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import type { HealthTree } from '@tombolo/shared/process/health.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { NodeExport } from './export/node-export.ts';
import type { PodExport } from './export/pod-export.ts';
import type { ServiceExport } from './export/service-export.ts';
import type { SourceName } from './kinds.ts';
import type { ApiserverMetrics } from './metrics.ts';
import type { SourceTrust } from './source-trust.ts';

export interface SourceTargets {
  readonly facts: LocalFacts;
  readonly services: ServiceExport;
  readonly nodes: NodeExport;
  readonly pods: PodExport;
  readonly trust: SourceTrust;
  readonly health: HealthTree;
  readonly metrics: ApiserverMetrics;
  /** Facts of this source changed. */
  touched(source: SourceName): void;
}

/** Resolves when `signal` aborts; rejects on a fault of our own. */
export async function followSources(
  client: KubernetesClient,
  targets: SourceTargets,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { facts, services, nodes, pods, trust, health, metrics } = targets;
  const follow = <T>(
    source: SourceName,
    collection: Collection<T>,
    changed: (key: string, value: T | undefined) => void,
    refused: (key: string) => void = () => {},
  ): Promise<void> => {
    const handler = {
      changed: (key: string, value: T | undefined) => {
        changed(key, value);
        targets.touched(source);
      },
      synced: () => trust.complete(source),
      refused: (key: string, reason: string) => {
        log.warn({ source, object: key, reason }, 'Object is refused; what was known of it stays in force');
        refused(key);
        metrics.objectRefused(source);
      },
    };
    return followCollection(client, collection, handler, signal, log, {
      report: (state) => health.report(`kubernetes/${source}`, state),
      relistable: (relist) => trust.relistable(source, relist),
    });
  };
  await Promise.all([
    follow('namespaces', NAMESPACES, (key, value) => facts.setNamespace(key, value)),
    follow(
      'services',
      SERVICES,
      (key, value) => {
        services.serviceHeard(key as ServiceKey);
        facts.setService(key as ServiceKey, value);
      },
      (key) => services.serviceRefused(key as ServiceKey),
    ),
    follow('endpointslices', ENDPOINT_SLICES, (key, value) => facts.setSlice(key, value)),
    follow(
      'nodes',
      NODES,
      (key, value) => nodes.nodeChanged(key, value),
      (key) => nodes.nodeRefused(key),
    ),
    follow('pods', PODS, (key, value) => pods.podChanged(key, value)),
  ]);
}
