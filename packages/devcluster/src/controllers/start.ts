/** The controllers that run inside the development API server, each fed by the store's changes. */
import type { Logger } from '@tombolo/shared/process/logger.ts';
import type { Operations } from '../kubernetes-api/operations.ts';
import { CustomResourceController } from './custom-resources.ts';
import { NamespaceController } from './namespaces.ts';

export interface Controller {
  close(): void;
}

export function startControllers(operations: Operations, log: Logger): Controller {
  const named = (controller: string) => log.child({ controller });
  const controllers: Controller[] = [
    new CustomResourceController(operations, named('custom-resources')),
    new NamespaceController(operations, named('namespaces')),
  ];
  return {
    close: () => {
      for (const controller of controllers.toReversed()) controller.close();
    },
  };
}
