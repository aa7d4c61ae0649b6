/**
 * From the pinned maps back to a picture of them: after a restart, and whenever somebody wants to know what the kernel
 * really has. An entry that contradicts another is kept as found; the next plan sets it right.
 */
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { getBackend, getService, getServiceKey, getSetKey, isEmptyBackend } from './layout.ts';
import { MapState } from './map-state.ts';
import type { PinnedMaps } from './pinned-maps.ts';

export type ReadableMaps = Pick<PinnedMaps, 'limits' | 'each' | 'slotsAPart'>;

/**
 * Reading and recording go the way of the planner's operations, so that both build the same picture. Whoever goes on to
 * write waits for a grace period first: then whatever no service points to is free.
 */
export async function recoverTables(maps: ReadableMaps): Promise<MapState> {
  const tables = new MapState(maps.limits);
  let lastBackend = 0;
  await maps.each('slots', (keys, key, values, value) => {
    const backends = getSlots(values, value, maps.slotsAPart);
    for (const backend of backends) lastBackend = Math.max(lastBackend, backend);
    const first = maps.slotsAPart * keys.readUInt32LE(key + 8);
    tables.record({ kind: 'put-slots', ...getSetKey(keys, key), first, backends });
  });
  await maps.each('affinity_ok', (keys, key) => {
    const backend = keys.readUInt32LE(key + 8);
    lastBackend = Math.max(lastBackend, backend);
    tables.record({ kind: 'put-members', ...getSetKey(keys, key), backends: [backend] });
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

/** Without those at the end that are empty, but for the first. */
function getSlots(values: Buffer, value: number, most: number): readonly number[] {
  const backends = Array.from({ length: most }, (_, i) => values.readUInt32LE(value + 4 * i));
  while (backends.length > 1 && backends.at(-1) === 0) backends.pop();
  return backends;
}

export function routesOf(tables: MapState): readonly FrontendRoute[] {
  return [...tables.services.values()].flatMap((set) =>
    set.frontend && set.frontend.clients === undefined
      ? { frontend: set.frontend, backends: tables.backendsOf(set), sessionAffinitySeconds: set.affinitySeconds }
      : [],
  );
}
