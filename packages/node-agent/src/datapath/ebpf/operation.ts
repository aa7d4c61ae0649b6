/**
 * The smallest changes of the pinned maps, as values: the planner orders them, the writer carries them out, the picture
 * of the tables follows them. bpf/layout.h says what each map is for.
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { MapFrontend } from './map-entry.ts';
import { partsOf, SLOTS_A_PART } from './parts.ts';

/** The set that entries of `slots` and `affinity_ok` belong to. */
export interface SetKey {
  readonly service: number;
  readonly generation: number;
}

/** Which set a service points to. */
export interface ServiceValue {
  readonly id: number;
  readonly generation: number;
  readonly count: number;
  readonly affinitySeconds: number;
  /** Ids by slot; empty for a large set, whose slots are in entries of their own. */
  readonly inline: readonly number[];
}

export type PlannedOperation =
  | { readonly kind: 'put-backend'; readonly id: number; readonly backend: RouteBackend }
  /** Neighbouring slots, from `first` on, in parts that are not there yet. */
  | ({ readonly kind: 'put-slots'; readonly first: number; readonly backends: readonly number[] } & SetKey)
  /** Writes over a slot of a part that is there, under the eyes of its readers; 0 where nothing is to be. */
  | ({ readonly kind: 'change-slot'; readonly slot: number; readonly backend: number } & SetKey)
  /** Entries of `affinity_ok`: these backends are in this set of a service with affinity. */
  | ({ readonly kind: 'put-members'; readonly backends: readonly number[] } & SetKey)
  /** Adds a frontend, or switches it to another set, or to other slots of its set; `sorted` is what those hold then. */
  | ({ readonly kind: 'put-service'; readonly frontend: MapFrontend; readonly sorted?: SortedBackends } & ServiceValue)
  | { readonly kind: 'delete-service'; readonly frontend: MapFrontend }
  /** Whole parts. */
  | ({ readonly kind: 'delete-slots'; readonly first: number; readonly count: number } & SetKey)
  | ({ readonly kind: 'delete-members'; readonly backends: readonly number[] } & SetKey)
  | { readonly kind: 'delete-backend'; readonly id: number }
  /** Until no program runs that began before. */
  | { readonly kind: 'grace' };

/** As `FrontendRoute.backends` are. */
export type SortedBackends = readonly RouteBackend[];

export type OperationKind = PlannedOperation['kind'];
export type OperationOf<Kind extends OperationKind> = Extract<PlannedOperation, { readonly kind: Kind }>;
export type MapOperation = Exclude<PlannedOperation, { readonly kind: 'grace' }>;

/** An operation, and which of the plan's changes it serves; -1 when it serves many. */
export interface Step {
  readonly operation: PlannedOperation;
  readonly change: number;
}

/** How many entries of its map an operation writes. */
export function entryCount(operation: MapOperation): number {
  if (operation.kind === 'delete-slots') return partsOf(operation.count);
  if (operation.kind === 'put-slots') return partsOf(operation.backends.length);
  return 'backends' in operation ? operation.backends.length : 1;
}

/** What an operation is that ended after some of its entries. */
export function firstEntries(operation: MapOperation, count: number): MapOperation {
  if (operation.kind === 'delete-slots') return { ...operation, count: count * SLOTS_A_PART };
  if (operation.kind === 'put-slots')
    return { ...operation, backends: operation.backends.slice(0, count * SLOTS_A_PART) };
  return 'backends' in operation ? { ...operation, backends: operation.backends.slice(0, count) } : operation;
}
