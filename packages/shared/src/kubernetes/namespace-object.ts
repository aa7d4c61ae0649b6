/** Namespaces: whether they take part in the mesh, and their labels, which are part of their pods' identities. */
import type { Conversion } from './conversion.ts';
import { converting, type Fields, fieldsOf, type Texts, textOf, textsOf } from './fields.ts';

export interface KubernetesNamespace {
  readonly name: string;
  /** `clustermesh.cilium.io/global`; undefined where it is absent or neither true nor false: the default decides. */
  readonly global: boolean | undefined;
  readonly labels: Texts;
}

export function convertNamespace(object: Fields): Conversion<KubernetesNamespace> {
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
