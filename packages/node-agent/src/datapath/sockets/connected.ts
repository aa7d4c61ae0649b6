/** Which sockets our hooks connected through a service, as `connected` in bpf/socket-maps.h has them, by cookie. */
import { closeSync } from 'node:fs';
import { openPinned, readElement } from '../ebpf/bpf-calls.ts';

const PER_LINE = 64n;
const LINES = 131_072n;

/** Where it stands in the map, and the byte that says yes. */
export const markOf = (cookie: bigint): { readonly line: number; readonly at: number; readonly mark: number } => ({
  line: Number((cookie / PER_LINE) % LINES),
  at: Number(cookie % PER_LINE),
  mark: 1 + Number((cookie / (PER_LINE * LINES)) % 255n),
});

export class ConnectedSockets {
  readonly #map: number;

  private constructor(map: number) {
    this.#map = map;
  }

  /** Undefined while nothing is pinned there. */
  static open(path: string): ConnectedSockets | undefined {
    const map = openPinned(path);
    return map === undefined ? undefined : new ConnectedSockets(map);
  }

  has(cookie: bigint): boolean {
    const { line, at, mark } = markOf(cookie);
    const key = Buffer.alloc(4);
    key.writeUInt32LE(line);
    return readElement(this.#map, key, Number(PER_LINE))?.[at] === mark;
  }

  close(): void {
    closeSync(this.#map);
  }
}
