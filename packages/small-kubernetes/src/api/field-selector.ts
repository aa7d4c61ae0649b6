/** Field selectors: `metadata.name=x,status.phase!=Running` over the fields that a kind lets one select by. */
import { badRequest } from './api-error.ts';
import { fieldAt, type KubeObject } from './objects.ts';

export interface FieldTerm {
  readonly path: string;
  readonly equal: boolean;
  readonly value: string;
}

const ALWAYS = ['metadata.name', 'metadata.namespace'];

/** Throws 400 for text that is no selector and for fields that the kind does not offer. */
export function parseFieldSelector(text: string, selectable: readonly string[]): FieldTerm[] {
  const terms = text.split(',').filter((term) => term !== '');
  return terms.map((term) => {
    const [, path = '', operator = '', value = ''] = /^(.+?)(==|!=|=)(.*)$/.exec(term) ?? [];
    if (path === '') throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    if (!ALWAYS.includes(path) && !selectable.includes(path)) {
      const only = `"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`;
      throw badRequest(selectable.length === 0 ? only : `field label not supported: ${path}`);
    }
    return { path, equal: operator !== '!=', value };
  });
}

export const matchesFields = (terms: readonly FieldTerm[], object: KubeObject): boolean =>
  terms.every(({ path, equal, value }) => (textAt(object, path) === value) === equal);

/** Missing fields read as their zero value, as they do in Go. */
function textAt(object: KubeObject, path: string): string {
  return String(fieldAt(object, path) ?? (path === 'spec.unschedulable' ? 'false' : ''));
}
