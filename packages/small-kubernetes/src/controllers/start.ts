/** The controllers that run inside the development API server, each fed by the store's changes. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Operations } from '../api/operations.ts';
import { CustomResourceController } from './custom-resources.ts';
import { DeploymentController } from './deployments.ts';
import { EndpointSliceController } from './endpoint-slices.ts';
import { GarbageCollector } from './garbage-collector.ts';
import { NamespaceController } from './namespaces.ts';
import { NodeController } from './nodes.ts';
import { ReplicaSetController } from './replica-sets.ts';
import { Scheduler } from './scheduler.ts';

export interface Controller {
  close(): void;
}

export function startControllers(operations: Operations, log: Logger): Controller {
  const named = (controller: string) => log.child({ controller });
  const controllers: Controller[] = [
    new CustomResourceController(operations, named('custom-resources')),
    new NamespaceController(operations, named('namespaces')),
    new GarbageCollector(operations, named('garbage-collector')),
    new NodeController(operations, named('nodes')),
    new Scheduler(operations, named('scheduler')),
    new ReplicaSetController(operations, named('replica-sets')),
    new DeploymentController(operations, named('deployments')),
    new EndpointSliceController(operations, named('endpoint-slices')),
  ];
  return {
    close: () => {
      for (const controller of controllers.toReversed()) controller.close();
    },
  };
}
