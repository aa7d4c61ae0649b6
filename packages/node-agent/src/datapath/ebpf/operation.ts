/**
 * The smallest changes of the pinned maps, as values: the planner orders them, the writer carries them out, the picture
 * of the tables follows them. bpf/layout.h says what each map is for.
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { Frontend } from '@tombolo/shared/model/service-table.ts';

export interface Slot {
  readonly service: number;
  readonly generation: number;
  readonly slot: number;
}

/** An entry of `affinity_ok`: this backend is in this set of a service with affinity. */
export interface Member {
  readonly service: number;
  readonly generation: number;
  readonly backend: number;
}

/** Which set a service points to. */
export interface ServiceEntry {
  readonly id: number;
  readonly generation: number;
  readonly count: number;
  readonly affinitySeconds: number;
  /** Ids by slot; empty for a large set, whose slots are entries of their own. */
  readonly inline: readonly number[];
}

export type Operation =
  | { readonly kind: 'put-backend'; readonly id: number; readonly backend: RouteBackend }
  | ({ readonly kind: 'put-slot'; readonly backend: number } & Slot)
  | ({ readonly kind: 'put-member' } & Member)
  /** Adds a frontend, or switches it to another set. */
  | ({ readonly kind: 'put-service'; readonly frontend: Frontend } & ServiceEntry)
  | { readonly kind: 'delete-service'; readonly frontend: Frontend }
  | ({ readonly kind: 'delete-slot' } & Slot)
  | ({ readonly kind: 'delete-member' } & Member)
  | { readonly kind: 'delete-backend'; readonly id: number }
  /** Until no program runs that began before. */
  | { readonly kind: 'grace' };

export type OperationKind = Operation['kind'];
export type MapOperation = Exclude<Operation, { readonly kind: 'grace' }>;

/** An operation, and which of the plan's changes it serves; -1 when it serves many. */
export interface Step {
  readonly operation: Operation;
  readonly change: number;
}
