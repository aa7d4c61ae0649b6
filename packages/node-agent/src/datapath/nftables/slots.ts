/**
 * Which backend of a frontend stands in which slot. A backend keeps its slot while it is there: one that goes is replaced
 * by one that comes, else by that in the last slot, so that a change costs what it changes and not what there is. Pure.
 */
import { compareRouteBackends, type RouteBackend } from '@tombolo/shared/model/routes.ts';
import { type Clients, type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';

/** Where a frontend leads, as the kernel shall have it: everybody, or clients outside the cluster alone. */
export interface Served {
  readonly frontend: Frontend;
  readonly clients: Exclude<Clients, 'inside'>;
  /** Sorted. */
  readonly backends: readonly RouteBackend[];
  readonly affinitySeconds: number;
  /** Prefixes as text, sorted: whom outside the cluster it is for. None: everybody. */
  readonly ranges: readonly string[];
}

/** By which it is known: the frontend's id, or that with words behind it. */
export const servedId = ({ frontend, clients }: Pick<Served, 'frontend' | 'clients'>): string =>
  clients === 'outside' ? outsideId(frontendId(frontend)) : frontendId(frontend);
export const outsideId = (id: string): string => `${id} from outside`;

/** The same as the kernel has it. */
export interface Placed extends Served {
  /** The same backends, by slot. */
  readonly slots: readonly RouteBackend[];
  /** With affinity: what clients remember the backend in each slot by. */
  readonly ids: readonly number[];
}

export function place(before: Placed | undefined, next: Served): Placed {
  const slots = slotsFor(before, next.backends);
  const ids = next.affinitySeconds === 0 ? [] : idsFor(before, slots, next.clients === 'outside' ? ' outside' : '');
  return { ...next, slots, ids };
}

function slotsFor(before: Placed | undefined, backends: readonly RouteBackend[]): readonly RouteBackend[] {
  if (before === undefined || before.slots.length === 0) return backends;
  const { gone, come } = difference(before.backends, backends);
  const slots = [...before.slots];
  const free: number[] = [];
  slots.forEach(({ address, port }, slot) => {
    if (gone.get(address)?.has(port)) free.push(slot);
  });
  come.forEach((backend, i) => {
    slots[free[i] ?? slots.length] = backend;
  });
  for (const slot of free.slice(come.length).reverse()) {
    const last = slots.pop();
    if (last !== undefined && slot < slots.length) slots[slot] = last;
  }
  return slots;
}

/** What changed between two sorted lists. A backend whose cluster changed has gone and come. */
function difference(before: readonly RouteBackend[], after: readonly RouteBackend[]) {
  const gone = new Map<string, Set<number>>();
  const come: RouteBackend[] = [];
  for (let [i, j] = [0, 0]; i < before.length || j < after.length; ) {
    const [old, next] = [before[i], after[j]];
    const same = old?.address === next?.address && old?.port === next?.port;
    const order = same ? 0 : old === undefined ? 1 : next === undefined ? -1 : compareRouteBackends(old, next);
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
    if (order === 0 && old?.clusterId === next?.clusterId) continue;
    if (order <= 0 && old !== undefined) {
      const ports = gone.get(old.address) ?? new Set();
      gone.set(old.address, ports.add(old.port));
    }
    if (order >= 0 && next !== undefined) come.push(next);
  }
  return { gone, come };
}

/**
 * A number for each backend that clients are remembered by. It comes from the backend itself, so it survives restarts
 * and is not handed to another backend while clients still remember it. 0 and 0xffffffff have names in nft. A
 * frontend's two choices have different numbers for one backend.
 */
function idsFor(before: Placed | undefined, slots: readonly RouteBackend[], suffix: string): readonly number[] {
  const isKept = (backend: RouteBackend | undefined, slot: number): boolean => backend === before?.slots[slot];
  const moved = new Map<RouteBackend, number>();
  before?.ids.forEach((id, slot) => {
    const backend = before.slots[slot];
    if (backend !== undefined && !isKept(slots[slot], slot)) moved.set(backend, id);
  });
  let taken: Set<number> | undefined;
  return slots.map((backend, slot) => {
    const kept = isKept(backend, slot) ? before?.ids[slot] : moved.get(backend);
    if (kept !== undefined) return kept;
    taken ??= new Set([0, 0xffffffff, ...(before?.ids ?? [])]);
    let id = hash(`${backend.address} . ${backend.port} ${backend.clusterId}${suffix}`);
    while (taken.has(id)) id = (id + 1) >>> 0;
    taken.add(id);
    return id;
  });
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
