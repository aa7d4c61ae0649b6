/**
 * Waits until no BPF program runs that began before: after that, nobody holds what was taken out of reach. The kernel
 * promises just this for the update of a map of maps, so one is kept for nothing else.
 */
import { closeSync } from 'node:fs';
import { createMap, MAP_TYPES, updateMapOfMaps } from './bpf-calls.ts';

export class GracePeriod {
  readonly #inner: number;
  readonly #outer: number;

  constructor() {
    const shape = { keySize: 4, valueSize: 4, maxEntries: 1 };
    this.#inner = createMap({ type: MAP_TYPES.array, ...shape });
    this.#outer = createMap({ type: MAP_TYPES.arrayOfMaps, ...shape, innerMap: this.#inner });
  }

  async wait(): Promise<void> {
    if (!(await updateMapOfMaps(this.#outer, this.#inner))) {
      throw new Error('Cannot wait for running BPF programs: the kernel refused to update a map of maps');
    }
  }

  close(): void {
    closeSync(this.#outer);
    closeSync(this.#inner);
  }
}
