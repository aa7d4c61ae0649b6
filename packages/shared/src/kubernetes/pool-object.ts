/** A pool with what is needed to say something about it: in its status, or by an Event. */
import type { AddressPool } from '../model/address-pool.ts';
import type { Collection } from './collection.ts';
import { Fields } from './fields.ts';
import type { Json } from './json.ts';

export interface PoolObject {
  readonly pool: AddressPool;
  /** Of the API, e.g. `metallb.io/v1beta1`. */
  readonly apiVersion: string;
  /** Empty for kinds that are in none. */
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** As it is. */
  readonly status: Json;
  readonly statusWriters: readonly StatusWriter[];
}

/** Who wrote to the status of an object, by `metadata.managedFields`. */
export interface StatusWriter {
  readonly name: string;
  /** Of the last time, RFC 3339 in seconds. */
  readonly at: string;
}

/** The same collection, read as objects. */
export const poolObjects = ({ convert, path, ...rest }: Collection<AddressPool>): Collection<PoolObject> => ({
  ...{ ...rest, path },
  convert: (json, at) => {
    const converted = convert(json, at);
    if (converted.kind !== 'value') return converted;
    return { ...converted, value: { pool: converted.value, apiVersion: apiVersionOf(path), ...aboutObject(json) } };
  },
});

const apiVersionOf = (path: string): string => path.split('/').slice(2, 4).join('/');

function aboutObject(json: Json): Omit<PoolObject, 'pool' | 'apiVersion'> {
  const object = new Fields(json);
  const metadata = object.object('metadata');
  const { generation } = metadata.json;
  return {
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
