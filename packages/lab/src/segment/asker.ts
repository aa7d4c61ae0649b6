/**
 * A client on the segment: `asker.ts ADDRESS PORT` asks by UDP, one question after the other, each with a socket of its own,
 * and waits `PATIENCE_MS` for the answer. On a line of input it prints, as JSON, what came of it since the last one.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

export interface Asked {
  readonly answered: number;
  readonly lost: number;
  /** Between two answers, at the most. */
  readonly longestGapMs: number;
  /** How often each answered, by the byte that it answers with. */
  readonly by: Readonly<Record<string, number>>;
}

const PATIENCE_MS = 50;
const [address = '', port = ''] = process.argv.slice(2);
const kind = address.includes(':') ? 'udp6' : 'udp4';
const fresh = () => ({ answered: 0, lost: 0, longestGapMs: 0, by: {} as Record<string, number> });
let counts = fresh();
let lastAt = performance.now();

function ask(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(kind);
    const timer = setTimeout(() => end(undefined), PATIENCE_MS);
    const end = (answer: string | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    socket.on('message', (message) => end(message.toString('latin1')));
    socket.on('error', () => end(undefined));
    socket.send('?', Number(port), address, (error) => error && end(undefined));
  });
}

createInterface({ input: process.stdin }).on('line', () => {
  counts.longestGapMs = Math.max(counts.longestGapMs, performance.now() - lastAt);
  process.stdout.write(`${JSON.stringify(counts)}\n`);
  counts = fresh();
});

for (;;) {
  const answer = await ask();
  if (answer === undefined) {
    counts.lost += 1;
    continue;
  }
  const now = performance.now();
  counts.answered += 1;
  counts.by[answer] = (counts.by[answer] ?? 0) + 1;
  counts.longestGapMs = Math.max(counts.longestGapMs, now - lastAt);
  lastAt = now;
  await new Promise((resolve) => setTimeout(resolve, 2));
}
