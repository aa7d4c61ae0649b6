/**
 * Whether an object that the kernel tells of is the one that it was asked for. It tells more than it was told (handles,
 * flags that were not named), and leaves out some values that are 0. Pure.
 */
import { attributesOf } from '../netlink/messages.ts';

/** Both are attributes, one behind another. Those of one type are a list: as many, in the same order. */
export function isAsAsked(asked: Buffer, told: Buffer): boolean {
  const byType = new Map<number, Buffer[]>();
  for (const { type, value } of attributesOf(told)) {
    const values = byType.get(type);
    if (values) values.push(value);
    else byType.set(type, [value]);
  }
  const named = new Set<number>();
  for (const { type, value, isNested } of attributesOf(asked)) {
    named.add(type);
    const present = byType.get(type)?.shift();
    if (present === undefined) {
      if (value.some((byte) => byte !== 0)) return false;
    } else if (isNested ? !isAsAsked(value, present) : !value.equals(present)) return false;
  }
  return [...named].every((type) => !byType.get(type)?.length);
}
