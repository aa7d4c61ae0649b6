/** A server that hands each connection on to where `dial` leads, until one side ends. */
import { createServer, type Server, type Socket } from 'node:net';

export function passConnections(dial: () => Socket): Server {
  return createServer((inward) => {
    const outward = dial();
    inward.on('error', () => outward.destroy());
    outward.on('error', () => inward.destroy());
    inward.on('close', () => outward.destroy());
    outward.on('close', () => inward.destroy());
    inward.pipe(outward).pipe(inward);
  });
}
