/** Label selectors: the text form of queries (`a=b,c in (d, e),!f`) and the object form of specs, as one predicate. */
import { badRequest } from './api-error.ts';
import { fieldAt, isJsonObject, listAt, type StringMap } from './objects.ts';

export type LabelPredicate = (labels: Readonly<StringMap> | undefined) => boolean;

export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export const matchesAll =
  (requirements: readonly Requirement[]): LabelPredicate =>
  (labels = {}) =>
    requirements.every((requirement) => matches(requirement, labels[requirement.key]));

function matches({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

const KEY = /^([a-z0-9A-Z]([a-z0-9A-Z.-]{0,251}[a-z0-9A-Z])?\/)?[a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?$/;
const VALUE = /^([a-z0-9A-Z]([a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?)?$/;

/** Throws 400 for text that is no selector. */
export function parseLabelSelector(text: string): Requirement[] {
  // At commas, but not at those inside parentheses.
  const terms = text.split(/,(?![^(]*\))/).map((term) => term.trim());
  if (terms.some((term) => /=[^=]+=/.test(term))) throw badRequest("found '=', expected: ',' or 'end of string'");
  return terms.filter((term) => term !== '').map((term) => checked(parseTerm(term), text));
}

function parseTerm(term: string): Requirement {
  const [, setKey, set, list = ''] = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term) ?? [];
  if (setKey !== undefined) {
    const values = list.split(',').map((value) => value.trim());
    return { key: setKey, operator: set === 'in' ? 'In' : 'NotIn', values };
  }
  const [, key, equality, value = ''] = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/.exec(term) ?? [];
  if (key !== undefined) return { key, operator: equality === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, absent] = /^!\s*(\S+)$/.exec(term) ?? [];
  return absent === undefined
    ? { key: term, operator: 'Exists', values: [] }
    : { key: absent, operator: 'DoesNotExist', values: [] };
}

function checked(requirement: Requirement, whole: string): Requirement {
  if (KEY.test(requirement.key) && requirement.values.every((value) => VALUE.test(value))) return requirement;
  throw badRequest(
    `unable to parse requirement: expected a label selector such as a=b,c in (d): current value is ${JSON.stringify(whole)}`,
  );
}

/** `matchLabels` and `matchExpressions` of a spec. An empty selector matches all; a missing one matches none. */
export function selectorOfSpec(selector: unknown): LabelPredicate {
  return isJsonObject(selector) ? matchesAll(requirementsOf(selector)) : () => false;
}

/** The plain map of a Service: an empty or missing one selects nothing. */
export function selectorOfMap(selector: unknown): LabelPredicate {
  const requirements = equalities(selector);
  return requirements.length === 0 ? () => false : matchesAll(requirements);
}

const requirementsOf = (selector: unknown): Requirement[] => [
  ...equalities(fieldAt(selector, 'matchLabels')),
  ...listAt(selector, 'matchExpressions').map((entry) => ({
    key: String(fieldAt(entry, 'key')),
    operator: fieldAt(entry, 'operator') as Requirement['operator'],
    values: listAt(entry, 'values').map(String),
  })),
];

function equalities(map: unknown): Requirement[] {
  if (!isJsonObject(map)) return [];
  return Object.entries(map).map(([key, value]) => ({ key, operator: 'In', values: [String(value)] }));
}

/** For the `selector` field of a Scale and for printing. */
export const formatLabelSelector = (selector: unknown): string =>
  requirementsOf(selector).map(formatRequirement).join(',');

function formatRequirement({ key, operator, values }: Requirement): string {
  const [one, ...more] = values;
  switch (operator) {
    case 'In':
      return more.length === 0 ? `${key}=${one}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return more.length === 0 ? `${key}!=${one}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}
