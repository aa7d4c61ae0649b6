/** A replica of what gives out addresses, as a pod of the apiserver has it. */
import { Addresses } from '@tombolo/clustermesh-apiserver/addresses/addresses.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { systemClock } from '@tombolo/shared/process/clock.ts';
import { HealthTree } from '@tombolo/shared/process/health.ts';
import { METALLB_NAMESPACE } from '../../pools.ts';
import { type LogLine, recordingLogger } from '../../recording-logger.ts';

export interface Replica {
  readonly addresses: Addresses;
  readonly logged: LogLine[];
  /** As a pod that is deleted. */
  stop(): Promise<void>;
}

export function startReplica(
  kubeconfig: string,
  instance: string,
  metallbNamespace: string = METALLB_NAMESPACE,
): Replica {
  const client = connectKubernetes({ kubeconfig });
  const logged: LogLine[] = [];
  const ending = new AbortController();
  const addresses = new Addresses({
    ...{ client, instance, leaseNamespace: 'kube-system', metallbNamespace },
    ...{ health: new HealthTree(), clock: systemClock, log: recordingLogger(logged) },
  });
  const done = addresses.run(ending.signal);
  return {
    ...{ addresses, logged },
    stop: async () => {
      ending.abort();
      await done;
      client.close();
    },
  };
}
