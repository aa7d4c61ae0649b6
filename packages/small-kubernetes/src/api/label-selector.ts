/** Label selectors: the text form of queries (`a=b,c in (d, e),!f`) and the object form of specs, as one predicate. */
import { badRequest } from './api-error.ts';
import { fieldAt, isJsonObject, type StringMap } from './objects.ts';

export type LabelPredicate = (labels: Readonly<StringMap> | undefined) => boolean;

export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export const matchesAll =
  (requirements: readonly Requirement[]): LabelPredicate =>
  (labels = {}) =>
    requirements.every((requirement) => matches(requirement, labels));

function matches({ key, operator, values }: Requirement, labels: Readonly<StringMap>): boolean {
  const value = labels[key];
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
export const isLabelKey = (text: string): boolean => KEY.test(text);
export const isLabelValue = (text: string): boolean => VALUE.test(text);

/** Throws 400 for text that is no selector. */
export function parseLabelSelector(text: string): Requirement[] {
  return splitTerms(text)
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map((term) => parseTerm(term, text));
}

/** At commas, but not at those inside parentheses. */
function splitTerms(text: string): string[] {
  return text.split(/,(?![^(]*\))/);
}

function parseTerm(term: string, whole: string): Requirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  if (set) {
    const [, key = '', operator, values = ''] = set;
    return checked(
      { key, operator: operator === 'in' ? 'In' : 'NotIn', values: values.split(',').map((v) => v.trim()) },
      whole,
    );
  }
  const equality = /^([^\s=!]+)\s*(==|=|!=)\s*([^\s=!]*)$/.exec(term);
  if (equality) {
    const [, key = '', operator, value = ''] = equality;
    return checked({ key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value] }, whole);
  }
  const absent = /^!\s*(\S+)$/.exec(term);
  if (absent) return checked({ key: absent[1] ?? '', operator: 'DoesNotExist', values: [] }, whole);
  return checked({ key: term, operator: 'Exists', values: [] }, whole);
}

function checked(requirement: Requirement, whole: string): Requirement {
  if (isLabelKey(requirement.key) && requirement.values.every(isLabelValue)) return requirement;
  throw badRequest(
    `unable to parse requirement: expected a label selector such as a=b,c in (d): current value is ${JSON.stringify(whole)}`,
  );
}

/** `matchLabels` and `matchExpressions` of a spec. An empty selector matches all; a missing one matches none. */
export function selectorOfSpec(selector: unknown): LabelPredicate {
  if (!isJsonObject(selector)) return () => false;
  return matchesAll([...equalities(selector['matchLabels']), ...expressions(selector['matchExpressions'])]);
}

/** The plain map of a Service: an empty or missing one selects nothing. */
export function selectorOfMap(selector: unknown): LabelPredicate {
  const requirements = equalities(selector);
  return requirements.length === 0 ? () => false : matchesAll(requirements);
}

function equalities(map: unknown): Requirement[] {
  if (!isJsonObject(map)) return [];
  return Object.entries(map).map(([key, value]) => ({ key, operator: 'In', values: [String(value)] }));
}

function expressions(list: unknown): Requirement[] {
  if (!Array.isArray(list)) return [];
  return list.map((entry: unknown) => {
    const values = fieldAt(entry, ['values']);
    return {
      key: String(fieldAt(entry, ['key'])),
      operator: fieldAt(entry, ['operator']) as Requirement['operator'],
      values: Array.isArray(values) ? values.map(String) : [],
    };
  });
}

/** For the `selector` field of a Scale and for printing. */
export function formatLabelSelector(selector: unknown): string {
  if (!isJsonObject(selector)) return '';
  const terms = [...equalities(selector['matchLabels']), ...expressions(selector['matchExpressions'])];
  return terms.map(formatRequirement).join(',');
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}
