/**
 * The value of one Service's entry. etcd takes no request above 1.5 MiB, so a Service with very many backends is cut
 * short, as Kubernetes cuts its Endpoints: as many as fit, in the order of their addresses.
 */
import type { ClusterIdentity } from '@tombolo/shared/model/cluster.ts';
import { sortByIp } from '@tombolo/shared/model/ip.ts';
import type { LocalEndpoint, LocalService } from '@tombolo/shared/model/service.ts';
import { encodeService } from '@tombolo/shared/wire/service.ts';
import { exportedEndpoints, wireService } from '@tombolo/shared/wire/to-wire.ts';

export interface Truncation {
  readonly backends: number;
  readonly exported: number;
  /** Size of the whole entry. */
  readonly bytes: number;
  readonly limit: number;
}

export interface ServiceEntry {
  readonly value: string;
  /** Set when not all backends fit. */
  readonly truncation?: Truncation;
}

export function serviceEntry(
  cluster: ClusterIdentity,
  service: LocalService,
  endpoints: readonly LocalEndpoint[],
  limit: number,
): ServiceEntry {
  const encode = (some: readonly LocalEndpoint[]) => encodeService(wireService(cluster, service, some));
  const value = encode(endpoints);
  const bytes = Buffer.byteLength(value);
  if (bytes <= limit) return { value };
  const inOrder = sortByIp(exportedEndpoints(endpoints), ({ address }) => address);
  const tried = new Map<number, string>();
  const sizeOf = (count: number) => {
    const attempt = encode(inOrder.slice(0, count));
    tried.set(count, attempt);
    return Buffer.byteLength(attempt);
  };
  const exported = mostThatFit({ count: inOrder.length, size: bytes }, limit, sizeOf);
  return {
    value: tried.get(exported) ?? '',
    truncation: { backends: inOrder.length, exported, bytes, limit },
  };
}

/**
 * The greatest count whose size is within the limit, given that `all` is above it and that sizes grow with the count.
 * They grow about evenly, so the guess is by proportion; should that lead nowhere, by halves.
 */
export function mostThatFit(
  all: { readonly count: number; readonly size: number },
  limit: number,
  sizeOf: (count: number) => number,
): number {
  let fits = { count: 0, size: sizeOf(0) };
  let over = all;
  for (let tries = 0; over.count - fits.count > 1; tries++) {
    const share = tries < 8 ? (limit - fits.size) / (over.size - fits.size) : 0.5;
    const guess = fits.count + Math.floor(share * (over.count - fits.count));
    const count = Math.min(over.count - 1, Math.max(fits.count + 1, guess));
    const size = sizeOf(count);
    if (size <= limit) fits = { count, size };
    else over = { count, size };
  }
  return fits.count;
}
