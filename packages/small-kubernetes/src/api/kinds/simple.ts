/** Defaults and checks of the kinds that need only a line or two. */
import { type Cause, invalidValue } from '../api-error.ts';
import { isJsonObject, type KubeObject } from '../objects.ts';
import type { Node } from './typed.ts';

const NAME_LABEL = 'kubernetes.io/metadata.name';

export function defaultNamespace(draft: KubeObject, old: KubeObject | undefined): void {
  draft.metadata.labels = { ...draft.metadata.labels, [NAME_LABEL]: draft.metadata.name };
  // The namespace controller takes this away when the namespace is empty.
  if (!old) draft['spec'] = { finalizers: ['kubernetes'] };
  draft['spec'] ??= {};
  draft['status'] ??= { phase: 'Active' };
}

export function defaultNode(draft: KubeObject): void {
  const node = draft as Node;
  node.spec ??= {};
  node.status ??= {};
  const { spec } = node;
  if (spec.podCIDR && !spec.podCIDRs) spec.podCIDRs = [spec.podCIDR];
  if (spec.podCIDRs?.[0] && !spec.podCIDR) spec.podCIDR = spec.podCIDRs[0];
}

/** `stringData` is write-only: it ends up in `data`. */
export function defaultSecret(draft: KubeObject): void {
  draft['type'] ??= 'Opaque';
  const { stringData } = draft;
  if (!isJsonObject(stringData)) return;
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')]);
  draft['data'] = { ...(isJsonObject(draft['data']) ? draft['data'] : {}), ...Object.fromEntries(encoded) };
  delete draft['stringData'];
}

export function validateSecret(object: KubeObject, old: KubeObject | undefined): Cause[] {
  return old && old['type'] !== object['type'] ? [invalidValue('type', object['type'], 'field is immutable')] : [];
}

export function defaultServiceAccount(draft: KubeObject): void {
  if (draft['secrets'] === null) delete draft['secrets'];
}
