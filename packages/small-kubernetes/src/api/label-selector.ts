/** Label selectors: the text form of queries (`a=b,c in (d, e),!f`), and the plain maps of specs. */
import { badRequest } from './api-error.ts';
import { isJsonObject, type StringMap } from './objects.ts';

type LabelPredicate = (labels: Readonly<StringMap> | undefined) => boolean;

/** Throws 400 for text that is no selector. */
export function parseLabelSelector(text: string): LabelPredicate {
  // At commas, but not at those inside parentheses.
  const terms = text.split(/,(?![^(]*\))/).map((term) => term.trim());
  if (terms.some((term) => /=[^=]+=/.test(term))) throw badRequest("found '=', expected: ',' or 'end of string'");
  const predicates = terms.filter((term) => term !== '').map(parseTerm);
  return (labels) => predicates.every((holds) => holds(labels));
}

function parseTerm(term: string): LabelPredicate {
  const inSet = /^(?<key>\S+)\s+(?<not>not)?in\s*\((?<values>[^()]*)\)$/;
  const equal = /^(?<key>[^\s=!]+)\s*(?<not>!)?==?\s*(?<values>\S*)$/;
  const { key = '', not, values } = (inSet.exec(term) ?? equal.exec(term))?.groups ?? {};
  if (values !== undefined) {
    const listed = values.split(',').map((value) => value.trim());
    return (labels = {}) => listed.some((value) => labels[key] === value) === (not === undefined);
  }
  const [, isAbsent, name = ''] = /^(!)?\s*(.*)$/.exec(term) ?? [];
  return (labels = {}) => Object.hasOwn(labels, name) === (isAbsent === undefined);
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
