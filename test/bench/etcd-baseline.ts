/**
 * How long a put takes until its event arrives at a follower, through our own etcd room and nothing else: the floor
 * under everything that travels through etcd. One put at a time, so that nothing queues.
 */
import type { EtcdReader } from '@tombolo/shared/etcd/read/reader.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';

export interface PutToWatch {
  /** Milliseconds, sorted. */
  readonly took: readonly number[];
  readonly median: number;
  readonly p99: number;
}

const WARM_UP = 50;

export async function measurePutToWatch(
  reader: EtcdReader,
  writer: EtcdWriter,
  samples: number,
  prefix = 'bench/',
): Promise<PutToWatch> {
  const key = `${prefix}put-to-watch`;
  const stop = new AbortController();
  let heard: (event: 'synced' | 'put') => void = () => {};
  const next = () =>
    new Promise<'synced' | 'put'>((resolve) => {
      heard = resolve;
    });
  const synced = next();
  const handle: Parameters<EtcdReader['follow']>[1] = (event) => {
    if (event.kind !== 'delete') heard(event.kind);
  };
  const following = reader.follow(prefix, handle, stop.signal);
  await Promise.race([synced, following]);
  const took: number[] = [];
  for (let i = 0; i < WARM_UP + samples; i++) {
    const event = next();
    const started = performance.now();
    const put = writer.put(key, String(i));
    await Promise.all([event.then(() => i >= WARM_UP && took.push(performance.now() - started)), put]);
  }
  stop.abort();
  await following;
  await writer.delete(key);
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
  return { took, median: at(0.5), p99: at(0.99) };
}
