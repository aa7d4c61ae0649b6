/** Conditions in a status: replaced by type; the time moves only when the status of the condition does. */
import type { Condition } from './typed.ts';

export function withCondition(list: readonly Condition[], condition: Condition, now: string): Condition[] {
  const old = list.find(({ type }) => type === condition.type);
  const lastTransitionTime = old?.status === condition.status ? (old.lastTransitionTime ?? now) : now;
  const next = { ...condition, lastTransitionTime };
  return old ? list.map((other) => (other === old ? next : other)) : [...list, next];
}

export const isTrue = (conditions: readonly Condition[] | undefined, type: string): boolean =>
  conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
