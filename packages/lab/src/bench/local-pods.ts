/**
 * A Service of a cluster whose pods exist as an EndpointSlice only, one of which turns ready and unready again and again:
 * how long until the node's kernel has it, each time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { KernelBackends } from './kernel-backends.ts';

export const PODS = 4;
/** Between one change and the next. */
const PAUSE_MS = 20;
/** What takes longer counts as so long. */
const GIVE_UP_MS = 15_000;

export function endpointSlice(service: string, name: string, addresses: readonly string[], unready?: number): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    endpoints: addresses.map((address, i) => ({ addresses: [address], conditions: { ready: i !== unready } })),
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'metrics', port: 9090, protocol: 'TCP' },
    ],
  };
}

const ADDRESSES = Array.from({ length: PODS }, (_, i) => `10.2.100.${i + 1}`);
export const localPods = (unready?: number): Manifest => endpointSlice('web', 'web-1', ADDRESSES, unready);

/** Ms of each change, for so long, and for one change at least. */
export async function timeLocalChanges(
  api: KubernetesClient,
  kernel: KernelBackends,
  ms: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const took: number[] = [];
  const end = performance.now() + ms;
  for (let ready = false; took.length === 0 || performance.now() < end; ready = !ready) {
    const sent = performance.now();
    const { endpoints, ...slice } = localPods(ready ? undefined : 0);
    const answered = api.patch(slice, { endpoints });
    await kernel.reaches(ready ? PODS : PODS - 1, GIVE_UP_MS, signal);
    took.push(performance.now() - sent);
    await answered;
    await sleep(PAUSE_MS, undefined, { signal });
  }
  return took;
}
