/** Field selectors: `metadata.name=x,status.phase!=Running` over the fields that a kind lets one select by. */
import { badRequest } from './api-error.ts';
import { fieldAt, type KubeObject } from './objects.ts';

const ALWAYS = ['metadata.name', 'metadata.namespace'];

/** Throws 400 for text that is no selector and for fields that the kind does not offer. Missing fields read as ''. */
export function parseFieldSelector(text: string, selectable: readonly string[]): (object: KubeObject) => boolean {
  const terms = text.split(',').filter((term) => term !== '');
  const predicates = terms.map((term) => {
    const [, path = '', operator = '', value = ''] = /^(.+?)(==|!=|=)(.*)$/.exec(term) ?? [];
    if (path === '') throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    if (!ALWAYS.includes(path) && !selectable.includes(path)) {
      const only = `"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`;
      throw badRequest(selectable.length === 0 ? only : `field label not supported: ${path}`);
    }
    return (object: KubeObject) => (String(fieldAt(object, path) ?? '') === value) === (operator !== '!=');
  });
  return (object) => predicates.every((holds) => holds(object));
}
