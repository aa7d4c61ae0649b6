/** Conditions in a status: replaced by type; the time moves only when the status of the condition does. */
import type { Condition } from '../api/kinds/typed.ts';

export function withCondition(
  conditions: readonly Condition[] | undefined,
  condition: Condition,
  now: string,
): Condition[] {
  const list = conditions ?? [];
  const old = list.find(({ type }) => type === condition.type);
  const changed = old?.status !== condition.status;
  const next = { ...condition, lastTransitionTime: changed ? now : (old?.lastTransitionTime ?? now) };
  return old ? list.map((other) => (other === old ? next : other)) : [...list, next];
}
