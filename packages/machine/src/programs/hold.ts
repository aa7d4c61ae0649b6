/**
 * Holds connections: opens some to each place, one after another, and waits for what comes. Runs in a pod until it is
 * killed. Prints a line of JSON whenever one is answered and whenever one ends.
 *
 *   hold.ts COUNT ADDRESS:PORT ...
 */
import { connect, type Socket } from 'node:net';

/** Of one connection: who answered, or with which error it ended (empty: the peer closed it). */
export interface HoldEvent {
  readonly connection: number;
  readonly to: string;
  /** Ms since the epoch. */
  readonly at: number;
  readonly answer?: string;
  readonly end?: string;
}

const [count = '', ...places] = process.argv.slice(2);
const tell = (event: Omit<HoldEvent, 'at'>): void => console.log(JSON.stringify({ ...event, at: Date.now() }));

function hold(connection: number, to: string): Promise<Socket> {
  const colon = to.lastIndexOf(':');
  const socket = connect({ host: to.slice(0, colon).replace(/[[\]]/g, ''), port: Number(to.slice(colon + 1)) });
  let error = '';
  socket.on('error', (reason: NodeJS.ErrnoException) => {
    error = reason.code ?? reason.message;
  });
  socket.on('close', () => tell({ connection, to, end: error }));
  return new Promise((resolve) => {
    socket.once('data', (data) => {
      tell({ connection, to, answer: data.toString().trim() });
      resolve(socket);
    });
    socket.once('close', () => resolve(socket));
  });
}

let connection = 0;
for (const to of places) {
  for (let i = 0; i < Number(count); i += 1) {
    connection += 1;
    await hold(connection, to);
  }
}
