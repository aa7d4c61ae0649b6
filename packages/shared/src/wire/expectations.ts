/**
 * What a reader knows before it decodes an entry: the name of the cluster it reads from (that of the configuration
 * file) and the id which that cluster's configuration announced. An entry that says otherwise is refused.
 */
import { type MaxClusters, parseClusterId } from '../model/cluster.ts';
import { excerpt } from './json-parser.ts';
import type { Problems } from './struct-reader.ts';

export interface Expectations {
  readonly cluster: string;
  readonly clusterId: number;
  readonly maxClusters: MaxClusters;
  /** The reader's own id, which readers do not hold against the range (a cluster outside the mesh has id 0). */
  readonly ownId?: number;
}

/** What follows the entry's prefix in its key. */
export interface EntryExpectations extends Expectations {
  readonly suffix: string;
}

/** `Cannot decode service "a/x" from cluster "west"`. */
export const decoding = (kind: string, { suffix, cluster }: { readonly suffix: string; readonly cluster: string }) =>
  `Cannot decode ${kind} ${excerpt(suffix)} from cluster ${excerpt(cluster)}`;

export function checkClusterName(path: string, name: string, expected: Expectations, problems: Problems): void {
  if (name === '') problems.note(`${path} must not be empty`);
  if (name !== expected.cluster) {
    problems.note(`${path} must be ${excerpt(expected.cluster)}: current value is ${excerpt(name)}`);
  }
}

export function checkClusterId(path: string, id: number, expected: Expectations, problems: Problems): void {
  const parsed = parseClusterId(id, expected.maxClusters);
  if (!parsed.ok && id !== expected.ownId) {
    problems.note(`${path} must be 1-${expected.maxClusters}: current value is ${id}`);
  }
  if (id !== expected.clusterId) {
    problems.note(`${path} must be ${expected.clusterId}, as the cluster announced: current value is ${id}`);
  }
}

/** The key must say the same as the value, or one entry could speak for another. */
export function checkSuffix(path: string, text: string, expected: EntryExpectations, problems: Problems): void {
  if (text !== expected.suffix) {
    problems.note(`${path} must match the key ${excerpt(expected.suffix)}: current value is ${excerpt(text)}`);
  }
}
