/** Label selectors: the text form of queries (`a=b,c in (d, e),!f`), and the plain maps of specs. */
import { badRequest } from './api-error.ts';
import { isJsonObject, type StringMap } from './objects.ts';

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export const matchesAll = (requirements: readonly Requirement[], labels: Readonly<StringMap> = {}): boolean =>
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

/** Whether labels have all that a plain map asks for, such as `matchLabels`. */
export const matchesMap = (wanted: StringMap = {}, labels: StringMap = {}): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

export const formatSelector = (map: unknown): string =>
  isJsonObject(map)
    ? Object.entries(map)
        .map(([key, value]) => `${key}=${value}`)
        .join(',')
    : '';
