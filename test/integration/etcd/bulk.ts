/** Many writes of a test, some at a time. Rejects with the first that fails. */
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';

const IN_FLIGHT = 64;

export const putAll = (
  writer: EtcdWriter,
  entries: readonly (readonly [key: string, value: string])[],
): Promise<void> => forEach(entries, ([key, value]) => writer.put(key, value));

export const deleteAll = (writer: EtcdWriter, keys: readonly string[]): Promise<void> =>
  forEach(keys, (key) => writer.delete(key));

/** Several workers take from one iterator. */
async function forEach<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  const work = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
}
