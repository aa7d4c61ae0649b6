/** The controllers that run inside the small API server, each fed by the store's changes. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Operations } from '../api/operations.ts';
import { DeploymentController } from './deployments.ts';
import { EndpointSliceController } from './endpoint-slices.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { NamespaceController } from './namespaces.ts';
import { ReplicaSetController } from './replica-sets.ts';
import { Scheduler } from './scheduler.ts';

const CONTROLLERS = [
  NamespaceController,
  GarbageCollector,
  Scheduler,
  ReplicaSetController,
  DeploymentController,
  EndpointSliceController,
];

/** Answers with the way to stop them. */
export function startControllers(operations: Operations, log: Logger): () => void {
  const controllers = CONTROLLERS.map((Controller) => new Controller(operations, log));
  return () => {
    for (const controller of controllers) controller.close();
  };
}
