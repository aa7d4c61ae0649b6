/** A pool with what is needed to say something about it: in its status, or by an Event. */
import type { AddressPool } from '../model/address-pool.ts';
import type { Collection } from './collection.ts';
import { Fields } from './fields.ts';
import type { Json } from './json.ts';

export interface PoolObject {
  readonly pool: AddressPool;
  /** Sentences about what of it counts for nothing, or about why all of it does. */
  readonly problems: readonly string[];
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Empty for kinds that are in none. */
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** As it is. */
  readonly status: Json;
  readonly statusWriters: readonly StatusWriter[];
}

/** One that cannot be read at all has no pool. */
export type ReadPool = Omit<PoolObject, 'pool'> & { readonly pool: AddressPool | undefined };

/** Who wrote to the status of an object, by `metadata.managedFields`. */
export interface StatusWriter {
  readonly name: string;
  /** Of the last time, RFC 3339 in seconds. */
  readonly at: string;
}

/** The same collection, read as objects. */
export const poolObjects = ({ convert, path, ...rest }: Collection<AddressPool>): Collection<ReadPool> => ({
  ...{ ...rest, path },
  convert: (json, at) => {
    const converted = convert(json, at);
    if (converted.kind === 'ignored') return converted;
    const isRead = converted.kind === 'value';
    const problems = isRead ? converted.warnings : [converted.reason];
    const pool = isRead ? converted.value : undefined;
    const apiVersion = path.split('/').slice(2, 4).join('/');
    const value = {
      pool,
      problems,
      apiVersion,
      kind: KINDS[apiVersion.split('/')[0] ?? ''] ?? '',
      ...aboutObject(json),
    };
    return { kind: 'value', value, warnings: [] };
  },
});

/** By the group of the API; a list does not tell the kind of what is in it. */
const KINDS: Readonly<Record<string, string>> = {
  'cilium.io': 'CiliumLoadBalancerIPPool',
  'metallb.io': 'IPAddressPool',
};

function aboutObject(json: Json): Omit<PoolObject, 'pool' | 'problems' | 'apiVersion' | 'kind'> {
  const object = new Fields(json);
  const metadata = object.object('metadata');
  const { generation } = metadata.json;
  return {
    name: metadata.text('name'),
    namespace: metadata.text('namespace'),
    uid: metadata.text('uid'),
    resourceVersion: metadata.text('resourceVersion'),
    generation: typeof generation === 'number' ? generation : 0,
    status: object.object('status').json,
    statusWriters: metadata
      .objects('managedFields')
      .filter((entry) => entry.text('subresource') === 'status')
      .map((entry) => ({ name: entry.text('manager'), at: entry.text('time') })),
  };
}
