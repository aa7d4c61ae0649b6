/** Namespaces: whether they take part in the mesh, and their labels, which are part of their pods' identities. */
import type { LocalNamespace } from '../model/service.ts';
import type { Conversion } from './conversion.ts';
import { converting, type Fields, fieldsOf, textOf, textsOf } from './fields.ts';

export function convertNamespace(object: Fields): Conversion<LocalNamespace> {
  return converting((warn) => {
    const metadata = fieldsOf(object, 'metadata');
    const annotation = textsOf(metadata, 'annotations', 'metadata.annotations')['clustermesh.cilium.io/global'];
    const global = { true: true, false: false }[annotation?.toLowerCase() ?? ''];
    if (annotation !== undefined && global === undefined) {
      warn(`clustermesh.cilium.io/global left out: expected true or false: current value is "${annotation}"`);
    }
    return {
      name: textOf(metadata, 'name', 'metadata.name'),
      global,
      labels: textsOf(metadata, 'labels', 'metadata.labels'),
    };
  });
}
