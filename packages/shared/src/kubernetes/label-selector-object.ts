/** A LabelSelector as it stands in other objects. */
import type { LabelRequirement, LabelSelector } from '../model/label-selector.ts';
import { type Fields, malformed } from './fields.ts';

const OPERATORS: readonly string[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'] satisfies LabelRequirement['operator'][];

/** Throws what refuses the whole object: a selector that is only half understood selects what it should not. */
export function labelSelectorOf(fields: Fields): LabelSelector {
  const equal = Object.entries(fields.texts('matchLabels')).map(
    ([key, value]): LabelRequirement => ({ key, operator: 'In', values: [value] }),
  );
  const expressions = fields.objects('matchExpressions').map((each): LabelRequirement => {
    const operator = each.text('operator') as LabelRequirement['operator'];
    if (!OPERATORS.includes(operator)) throw malformed(each.pathOf('operator'), OPERATORS.join(', '), operator);
    const values = each.list('values').map((value) => {
      if (typeof value === 'string') return value;
      throw malformed(each.pathOf('values'), 'strings', value);
    });
    if (operator.endsWith('In') && values.length === 0) throw malformed(each.pathOf('values'), 'at least one', values);
    return { key: each.text('key'), operator, values };
  });
  return [...equal, ...expressions];
}
