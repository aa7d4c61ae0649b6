/** Namespaces: whether they take part in the mesh, and their labels, which are part of their pods' identities. */
import type { LocalNamespace } from '../model/service.ts';
import { converter } from './fields.ts';

export const convertNamespace = converter<LocalNamespace>((object, warn) => {
  const metadata = object.object('metadata');
  const annotation = metadata.texts('annotations')['clustermesh.cilium.io/global'];
  const global = { true: true, false: false }[annotation?.toLowerCase() ?? ''];
  if (annotation !== undefined && global === undefined) {
    warn(`clustermesh.cilium.io/global left out: expected true or false: current value is "${annotation}"`);
  }
  return { name: metadata.text('name'), global, labels: metadata.texts('labels') };
});
