/**
 * `cilium/state/identities/v1/id/<number>`: a security identity. The value is not JSON but the sorted labels, each as
 * `source:key=value;`. Numbers have 24 usable bits, the upper 8 (or 9 in a mesh of 511) being the cluster's id.
 */
import type { MaxClusters } from '../model/cluster.ts';
import { fail, ok, type Result } from '../model/result.ts';
import { decoding, type EntryExpectations } from './expectations.ts';
import { compareUtf8 } from './go-json.ts';
import { excerpt } from './json-parser.ts';
import { textOf } from './struct-reader.ts';

export const CLUSTER_LABEL = 'io.cilium.k8s.policy.cluster';

export interface WireLabel {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

export interface WireIdentity {
  readonly id: number;
  /** Sorted by key; each key once. */
  readonly labels: readonly WireLabel[];
}

export interface IdentityRange {
  readonly first: number;
  readonly last: number;
}

/** The numbers that a cluster may use. Those below 256 are reserved and the same everywhere. */
export function identityRange(clusterId: number, maxClusters: MaxClusters): IdentityRange {
  const size = maxClusters === 255 ? 2 ** 16 : 2 ** 15;
  return { first: clusterId * size, last: (clusterId + 1) * size - 1 };
}

export const FIRST_UNRESERVED_IDENTITY = 256;
const MAX_LENGTH = 1024 * 1024;

/** `expected.suffix` is the decimal number. */
export function decodeIdentity(value: Uint8Array | string, expected: EntryExpectations): Result<WireIdentity> {
  const what = decoding('identity', expected);
  const id = /^[1-9]\d{0,9}$/.test(expected.suffix) ? Number(expected.suffix) : 0;
  const { first, last } = identityRange(expected.clusterId, expected.maxClusters);
  if (id < first || id > last) {
    return fail(`${what}: id must be ${first}-${last}: current value is ${excerpt(expected.suffix)}`);
  }
  if (value.length > MAX_LENGTH)
    return fail(`${what}: value must be at most ${MAX_LENGTH} bytes: it has ${value.length}`);
  const labels = parseLabels(textOf(value));
  if (!labels.ok) return fail(`${what}: ${labels.error}`);
  const cluster = labels.value.find((label) => label.key === CLUSTER_LABEL);
  if (cluster?.source !== 'k8s' || cluster.value !== expected.cluster) {
    const current = cluster === undefined ? 'absent' : excerpt(encodeLabel(cluster));
    return fail(
      `${what}: label k8s:${CLUSTER_LABEL} must be ${excerpt(expected.cluster)}: current value is ${current}`,
    );
  }
  return ok({ id, labels: labels.value });
}

function parseLabels(text: string): Result<readonly WireLabel[]> {
  if (!text.endsWith(';')) return fail(`labels must end in ';': current value is ${excerpt(text.slice(-64))}`);
  const labels = new Map<string, WireLabel>();
  for (const part of text.slice(0, -1).split(';')) {
    const match = /^([^:=]+):([^=]+)=(.*)$/s.exec(part);
    if (match === null) return fail(`label must be source:key=value: current value is ${excerpt(part)}`);
    const [, source = '', key = '', value = ''] = match;
    if (labels.has(key)) return fail(`label must be given once: ${excerpt(key)} is given twice`);
    labels.set(key, { source, key, value });
  }
  return ok([...labels.values()].sort((a, b) => compareUtf8(a.key, b.key)));
}

const encodeLabel = ({ source, key, value }: WireLabel): string => `${source}:${key}=${value}`;

/** The entry's value; its number is in the key. */
export const encodeIdentity = ({ labels }: WireIdentity): string =>
  labels
    .toSorted((a, b) => compareUtf8(a.key, b.key))
    .map((label) => `${encodeLabel(label)};`)
    .join('');
