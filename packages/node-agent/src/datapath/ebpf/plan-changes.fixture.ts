/** A whole plan at once: sets `desired`, removes `unwanted` where it is served, leaves every other frontend alone. */
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { MapState } from './map-state.ts';
import { type MapPlan, PlanDraft } from './planner.ts';

export function planChanges(
  tables: MapState,
  desired: Iterable<FrontendRoute>,
  unwanted: Iterable<Frontend> = [],
): MapPlan {
  const draft = new PlanDraft(tables);
  for (const wanted of desired) draft.set(wanted);
  for (const frontend of unwanted) draft.remove(frontendId(frontend));
  return draft.finish();
}
