/** Whether a pod is still there and has an address, asked of the API server itself. */
import { type IpAddress, parseIp } from '../model/ip.ts';
import { ApiError, type KubernetesClient } from './client.ts';

interface PodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly podIPs?: readonly { readonly ip?: string }[];
}

/** False once it has ended, or is another of its name. Rejects when nobody answers that. */
export async function podHasAddress(
  client: Pick<KubernetesClient, 'get'>,
  pod: { readonly namespace: string; readonly name: string },
  address: IpAddress,
  signal: AbortSignal,
): Promise<boolean> {
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}`;
  try {
    const { status = {} } = JSON.parse(await client.get(path, signal)) as { readonly status?: PodStatus };
    if (status.phase === 'Succeeded' || status.phase === 'Failed') return false;
    const texts = [status.podIP, ...(status.podIPs ?? []).map(({ ip }) => ip)];
    return texts.some((text) => {
      const parsed = parseIp(text ?? '');
      return parsed.ok && parsed.value === address;
    });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return false;
    throw error;
  }
}
