/**
 * From the pinned maps back to a picture of them: after a restart, and whenever somebody wants to know what the kernel
 * really has. An entry that contradicts another is kept as found; the next plan sets it right.
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { KernelRoute } from '../datapath.ts';
import { KernelTables } from './kernel-tables.ts';
import { getBackend, getMember, getServiceKey, getSlot, getState } from './layout.ts';
import type { ServiceState } from './operation.ts';
import type { PinnedMaps } from './pinned-maps.ts';

/** Reading and recording go the way of the planner's operations, so that both build the same picture. */
export async function recoverTables(maps: PinnedMaps): Promise<KernelTables> {
  const tables = new KernelTables(maps.limits);
  await maps.each('backends', (keys, key, values, value) => {
    tables.record({ kind: 'put-backend', id: keys.readUInt32LE(key), backend: getBackend(values, value) });
  });
  await maps.each('slots', (keys, key, values, value) => {
    tables.record({ kind: 'put-slot', ...getSlot(keys, key), backend: values.readUInt32LE(value) });
  });
  await maps.each('affinity_ok', (keys, key) => {
    tables.record({ kind: 'put-member', ...getMember(keys, key) });
  });
  const states = new Map<number, ServiceState>();
  await maps.each('states', (keys, key, values, value) => {
    const state = getState(values, value);
    if (state.generation > 0) states.set(keys.readUInt32LE(key), state);
  });
  await maps.each('services', (keys, key, values, value) => {
    const [id, state] = [values.readUInt32LE(value), values.readUInt32LE(value + 4)];
    const known = states.get(state) ?? { generation: 0, count: 0, affinitySeconds: 0 };
    tables.record({ kind: 'put-state', state, ...known });
    tables.record({ kind: 'put-service', frontend: getServiceKey(keys, key), id, state });
  });
  tables.retireStrays();
  tables.distrustHistory();
  return tables;
}

export function routesOf(tables: KernelTables): readonly KernelRoute[] {
  return [...tables.services.values()].map(({ frontend, id, generation, count }) => {
    const slots = tables.set(id, generation)?.slots;
    const backends = Array.from({ length: count }, (_, slot) => tables.backends.get(slots?.[slot] ?? 0));
    return { frontend, backends: backends.filter((backend): backend is RouteBackend => backend !== undefined) };
  });
}
