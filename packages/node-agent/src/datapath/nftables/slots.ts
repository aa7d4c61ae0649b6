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
    const ports = gone.get(address);
    const left = ports?.get(port) ?? 0;
    if (left === 0) return;
    ports?.set(port, left - 1);
    free.push(slot);
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
  /** How often, by address and port. */
  const gone = new Map<string, Map<number, number>>();
  const come: RouteBackend[] = [];
  for (let [i, j] = [0, 0]; i < before.length || j < after.length; ) {
    const [old, next] = [before[i], after[j]];
    const same = old?.address === next?.address && old?.port === next?.port;
    const order = same ? 0 : old === undefined ? 1 : next === undefined ? -1 : compareRouteBackends(old, next);
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
    if (order === 0 && old?.clusterId === next?.clusterId) continue;
    if (order <= 0 && old !== undefined) {
      const ports = gone.get(old.address) ?? new Map<number, number>();
      gone.set(old.address, ports.set(old.port, (ports.get(old.port) ?? 0) + 1));
    }
    if (order >= 0 && next !== undefined) come.push(next);
  }
  return { gone, come };
}

/**
 * A number for each backend that clients are remembered by, by slot. It comes from the backend itself, so it survives
 * restarts and is not handed to another backend while clients still remember it. 0 and 0xffffffff have names in nft. A
 * frontend's two choices have different numbers for one backend.
 */
function idsFor(before: Placed | undefined, slots: readonly RouteBackend[], suffix: string): readonly number[] {
  let known: Map<string, number> | undefined;
  let taken = new Set<number>();
  return slots.map((backend, slot) => {
    const kept = backend === before?.slots[slot] ? before.ids[slot] : undefined;
    if (kept !== undefined) return kept;
    if (!known) {
      known = new Map(before?.ids.flatMap((id, at) => (before.slots[at] ? [[nameOf(before.slots[at]), id]] : [])));
      taken = new Set([0, 0xffffffff, ...known.values()]);
    }
    const name = nameOf(backend);
    let id = known.get(name) ?? hash(`${name}${suffix}`);
    while (!known.has(name) && taken.has(id)) id = (id + 1) >>> 0;
    known.set(name, id);
    taken.add(id);
    return id;
  });
}

const nameOf = ({ address, port, clusterId }: RouteBackend): string => `${address} . ${port} ${clusterId}`;

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
