/**
 * Sends requests one after another, each on a connection of its own, and counts. Runs in a pod until SIGTERM or SIGINT
 * (or for `--count` requests), finishing those under way. Prints the counts at the end; with --json, as a line of JSON,
 * and every 50 ms what they are so far.
 *
 *   requests.ts URL [--count N] [--workers N] [--interval-ms MS] [--timeout-ms MS] [--json]
 *   URL is http://ADDRESS:PORT/, tcp://ADDRESS:PORT or udp://ADDRESS:PORT
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ask } from './ask.ts';
import { formatCounts, RequestLog } from './request-log.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: 'Infinity' },
    workers: { type: 'string', default: '1' },
    'interval-ms': { type: 'string', default: '4' },
    'timeout-ms': { type: 'string', default: '3000' },
    json: { type: 'boolean', default: false },
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

const print = (): void => console.log(values.json ? JSON.stringify(log.counts()) : formatCounts(log.counts()));
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    stopping = true;
  });
const timer = values.json ? setInterval(print, 50) : undefined;
await Promise.all(Array.from({ length: Number(values.workers) }, () => work()));
clearInterval(timer);
print();
