/**
 * Sends requests one after another, each on a connection of its own, and counts. Runs in a pod until SIGTERM (or for
 * `--count` requests), finishing those under way; prints the counts so far as a line of JSON every 50 ms and at the end.
 *
 *   requests.ts URL [--count N] [--workers N] [--interval-ms MS] [--timeout-ms MS]
 *   URL is http://ADDRESS:PORT/, tcp://ADDRESS:PORT or udp://ADDRESS:PORT
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ask } from './ask.ts';
import { RequestLog } from './request-log.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: 'Infinity' },
    workers: { type: 'string', default: '1' },
    'interval-ms': { type: 'string', default: '4' },
    'timeout-ms': { type: 'string', default: '3000' },
  },
});
const url = new URL(positionals[0] ?? '');
const count = Number(values.count);
const log = new RequestLog();
let sent = 0;
let stopping = false;

async function work(): Promise<void> {
  while (!stopping && sent++ < count) {
    const start = performance.now();
    log.send();
    await ask(url, Number(values['timeout-ms'])).then(
      (signature) => log.answered(signature, performance.now() - start),
      (error: Error) => log.failed(error.message),
    );
    await sleep(Number(values['interval-ms']));
  }
}

const print = (): void => console.log(JSON.stringify(log.counts()));
process.on('SIGTERM', () => {
  stopping = true;
});
const timer = setInterval(print, 50);
await Promise.all(Array.from({ length: Number(values.workers) }, () => work()));
clearInterval(timer);
print();
