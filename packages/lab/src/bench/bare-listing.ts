/**
 * A helper: the least that anybody needs to read what a cluster has: lists all keys with a prefix in pages, at the first
 * page's revision, and parses each value. etcd3 and JSON.parse alone.
 *
 *   bare-listing.ts ENDPOINT PREFIX
 *
 *   {} → {"ms": from connecting to the last value, "blockMs": longest block of the event loop, "bytes": resident growth}
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { serve } from './helper.ts';

export interface BareListing {
  readonly ms: number;
  readonly cpuMs: number;
  readonly blockMs: number;
  readonly bytes: number;
  readonly keys: number;
}

const PAGE = 256;
const [endpoint = '', prefix = ''] = process.argv.slice(2);
/** The first key that no longer has the prefix. */
const END = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

/** Of prom-client's default, by which the agent's loop is measured, too. */
const RESOLUTION_MS = 10;

async function list(): Promise<BareListing> {
  const before = process.memoryUsage.rss();
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  const client = new Etcd3({ hosts: endpoint });
  const { kv } = client;
  const found = new Map<string, unknown>();
  let revision: string | undefined;
  for (let key = Buffer.from(prefix); ; ) {
    const range = { key, range_end: Buffer.from(END), limit: PAGE, ...(revision !== undefined && { revision }) };
    const page = await kv.range(range);
    revision ??= page.header.revision;
    for (const each of page.kvs) found.set(each.key.toString(), JSON.parse(each.value.toString()));
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) break;
    key = Buffer.concat([last.key, Buffer.of(0)]);
  }
  const ms = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  const bytes = process.memoryUsage.rss() - before;
  await sleep(2 * RESOLUTION_MS); // For the monitor to see the last block end.
  client.close();
  return { ms, cpuMs: (user + system) / 1000, bytes, blockMs: delay.max / 1e6, keys: found.size };
}

await serve(list);
