/**
 * From the pinned maps back to a picture of them: after a restart, and whenever somebody wants to know what the kernel
 * really has. An entry that contradicts another is kept as found; the next plan sets it right.
 */
import type { FrontendRoute, RouteBackend } from '@tombolo/shared/model/routes.ts';
import { KernelTables } from './kernel-tables.ts';
import { getBackend, getMember, getService, getServiceKey, getSlot, isEmptyBackend } from './layout.ts';
import type { PinnedMaps } from './pinned-maps.ts';

/**
 * Reading and recording go the way of the planner's operations, so that both build the same picture. Whoever goes on to
 * write waits for a grace period first: then whatever no service points to is free.
 */
export async function recoverTables(maps: PinnedMaps): Promise<KernelTables> {
  const tables = new KernelTables(maps.limits);
  let lastBackend = 0;
  await maps.each('slots', (keys, key, values, value) => {
    const backend = values.readUInt32LE(value);
    lastBackend = Math.max(lastBackend, backend);
    tables.record({ kind: 'put-slot', ...getSlot(keys, key), backend });
  });
  await maps.each('affinity_ok', (keys, key) => {
    tables.record({ kind: 'put-member', ...getMember(keys, key) });
  });
  await maps.each('services', (keys, key, values, value) => {
    const service = getService(values, value);
    lastBackend = Math.max(lastBackend, ...service.inline);
    tables.record({ kind: 'put-service', frontend: getServiceKey(keys, key), ...service });
  });
  // An array, most of it empty: what lies beyond is pointed to by nobody, and will be written over.
  const readBackend = (keys: Buffer, key: number, values: Buffer, value: number): void => {
    const id = keys.readUInt32LE(key);
    if (id > lastBackend || isEmptyBackend(values, value)) return;
    tables.record({ kind: 'put-backend', id, backend: getBackend(values, value) });
  };
  await maps.each('backends', readBackend, lastBackend + 1);
  tables.settle();
  return tables;
}

export function routesOf(tables: KernelTables): readonly FrontendRoute[] {
  return [...tables.services.values()].map(({ frontend, id, generation, count, affinitySeconds }) => {
    const slots = tables.set(id, generation)?.slots;
    const backends = Array.from({ length: count }, (_, slot) => tables.backends.get(slots?.[slot] ?? 0));
    return {
      frontend,
      backends: backends.filter((backend): backend is RouteBackend => backend !== undefined),
      sessionAffinitySeconds: affinitySeconds,
    };
  });
}
