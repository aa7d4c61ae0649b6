/** Sets the fields of an applied configuration in an object: maps and lists with keys merge, all else is replaced. */
import { isJsonObject } from '../objects.ts';
import type { MergeNode } from '../patch/merge-keys.ts';
import { below, itemNode, itemStep } from './field-set.ts';

export function merged(live: unknown, config: unknown, node: MergeNode): unknown {
  if (isJsonObject(live) && isJsonObject(config) && !node.atomic) {
    const fields = Object.entries(config).map(([name, value]) => [name, merged(live[name], value, below(node, name))]);
    return { ...live, ...Object.fromEntries(fields) };
  }
  if (!Array.isArray(live) || !Array.isArray(config) || !(node.set || node.key)) return config;
  const idOf = (item: unknown) => (isJsonObject(item) ? itemStep(item, node) : JSON.stringify(item));
  const items = new Map(live.map((item: unknown) => [idOf(item), item]));
  for (const item of config) items.set(idOf(item), merged(items.get(idOf(item)), item, itemNode(node)));
  return [...items.values()];
}
