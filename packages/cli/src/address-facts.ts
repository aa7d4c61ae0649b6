/**
 * What the Kubernetes API says about pools and the addresses of Services. It is asked directly, and not an agent: what is
 * decided about addresses stands in the statuses of Services and pools, wherever an agent may be.
 */
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import type { Collection } from '@tombolo/shared/kubernetes/collection.ts';
import { CILIUM_POOLS, LOAD_BALANCER_SERVICES, metallbPools } from '@tombolo/shared/kubernetes/collections.ts';
import type { Json } from '@tombolo/shared/kubernetes/json.ts';
import type { LoadBalancerService } from '@tombolo/shared/kubernetes/load-balancer-object.ts';
import { poolObjects, type ReadPool } from '@tombolo/shared/kubernetes/pool-object.ts';
import { decodeListPage } from '@tombolo/shared/kubernetes/watch-event.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { AgentError } from './agent-error.ts';

export interface AddressFacts {
  readonly pools: readonly ReadPool[];
  /** Those that ask for addresses or have some. */
  readonly services: readonly LoadBalancerService[];
}

const PAGE = 500;

export async function readAddressFacts(
  client: KubernetesClient,
  metallbNamespace: string,
  signal: AbortSignal,
): Promise<AddressFacts> {
  const kinds = [...CILIUM_POOLS, metallbPools(metallbNamespace)].map(poolObjects);
  const [services, ...pools] = await Promise.all([
    readAll(client, LOAD_BALANCER_SERVICES, signal),
    ...kinds.map((kind) => readAll(client, kind, signal)),
  ]);
  // A cluster may serve both versions of a kind: they have the same objects.
  const byName = new Map(pools.flat().map((pool) => [`${pool.kind} ${pool.name}`, pool]));
  return { services, pools: [...byName.values()] };
}

/** As it is; undefined when there is none of that name. */
export async function readService(
  client: KubernetesClient,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<Json | undefined> {
  // Whoever may list may be refused a single one: agents may only list.
  const query = new URLSearchParams({ fieldSelector: `metadata.name=${name}` });
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services?${query}`;
  const [item] = decodeListPage(await ask(client, path, signal)).items;
  return item?.object;
}

async function readAll<T>(
  client: KubernetesClient,
  { path, convert, isOptional }: Collection<T>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  const found: T[] = [];
  let next = '';
  do {
    const query = new URLSearchParams({ limit: `${PAGE}`, ...(next !== '' && { continue: next }) });
    const answer = await ask(client, `${path}?${query}`, signal, isOptional);
    if (answer === undefined) return [];
    const page = decodeListPage(answer);
    for (const { object } of page.items) {
      const converted = convert(object);
      if (converted.kind === 'value') found.push(converted.value);
    }
    next = page.next;
  } while (next !== '');
  return found;
}

function ask(client: KubernetesClient, path: string, signal: AbortSignal): Promise<string>;
function ask(
  client: KubernetesClient,
  path: string,
  signal: AbortSignal,
  isOptional?: boolean,
): Promise<string | undefined>;
async function ask(
  client: KubernetesClient,
  path: string,
  signal: AbortSignal,
  isOptional = false,
): Promise<string | undefined> {
  try {
    return await client.get(path, signal);
  } catch (error) {
    if (isOptional && error instanceof ApiError && error.status === 404) return undefined;
    const kind = error instanceof ApiError ? 'refused' : 'unreachable';
    throw new AgentError(kind, `Cannot ask the Kubernetes API at ${client.server}: ${reasonOf(error)}`, error);
  }
}
