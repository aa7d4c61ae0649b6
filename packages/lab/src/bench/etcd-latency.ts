/**
 * Prints the latencies in ms, as a JSON array, of bare etcd puts until their watch events arrive: the floor under
 * everything that travels through etcd. Uses etcd3 alone, none of our own etcd code.
 *
 *   etcd-latency.ts ENDPOINT COUNT
 */
import { Etcd3 } from 'etcd3';

const [endpoint = '', count = ''] = process.argv.slice(2);
const KEY = 'tombolo-bench/latency';
const client = new Etcd3({ hosts: endpoint });
const watcher = await client.watch().key(KEY).create();
const took: number[] = [];
for (let i = 0; i < Number(count); i++) {
  const arrived = new Promise<number>((resolve) => watcher.once('put', () => resolve(performance.now())));
  const sent = performance.now();
  const put = client.put(KEY).value(`${i}`).exec();
  took.push((await arrived) - sent);
  await put;
}
await watcher.cancel();
await client.delete().key(KEY).exec();
client.close();
process.stdout.write(JSON.stringify(took));
