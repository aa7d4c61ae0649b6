/**
 * The backends as the kernel has them, by id: how many entries name each, which ids are free. An id is found by port and
 * cluster first, of which there are few combinations, then by the address as it is: no text is made for a look-up.
 */
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';

export class BackendIds {
  readonly #byPort = new Map<number, Map<string, number>>();

  get({ address, port, clusterId }: RouteBackend): number | undefined {
    return this.#byPort.get(portKey(port, clusterId))?.get(address);
  }

  set({ address, port, clusterId }: RouteBackend, id: number): void {
    const key = portKey(port, clusterId);
    const ids = this.#byPort.get(key) ?? new Map<string, number>();
    this.#byPort.set(key, ids.set(address, id));
  }

  delete({ address, port, clusterId }: RouteBackend): void {
    const ids = this.#byPort.get(portKey(port, clusterId));
    if (ids?.delete(address) && ids.size === 0) this.#byPort.delete(portKey(port, clusterId));
  }
}

const portKey = (port: number, clusterId: number): number => clusterId * 65_536 + port;

export class BackendTable {
  readonly #backends = new Map<number, RouteBackend>();
  readonly #ids = new BackendIds();
  readonly #references = new Map<number, number>();
  /** Those that no entry names and no reader holds. */
  readonly unreferenced = new Set<number>();
  /** Ids below `nextId` that are free. */
  readonly freeIds = new Set<number>();
  nextId = 1;

  get size(): number {
    return this.#backends.size;
  }

  get(id: number): RouteBackend | undefined {
    return this.#backends.get(id);
  }

  has(id: number): boolean {
    return this.#backends.has(id);
  }

  idOf(backend: RouteBackend): number | undefined {
    return this.#ids.get(backend);
  }

  references(id: number): number {
    return this.#references.get(id) ?? 0;
  }

  put(id: number, backend: RouteBackend): void {
    this.#backends.set(id, backend);
    this.#ids.set(backend, id);
    this.nextId = Math.max(this.nextId, id + 1);
    this.freeIds.delete(id);
    if (this.references(id) === 0) this.unreferenced.add(id);
  }

  delete(id: number): void {
    const backend = this.#backends.get(id);
    if (!backend) return;
    this.#backends.delete(id);
    this.unreferenced.delete(id);
    this.freeIds.add(id);
    if (this.#ids.get(backend) === id) this.#ids.delete(backend);
  }

  refer(id: number): void {
    this.#references.set(id, this.references(id) + 1);
    this.unreferenced.delete(id);
  }

  unrefer(id: number): void {
    const left = this.references(id) - 1;
    if (left > 0) {
      this.#references.set(id, left);
      return;
    }
    this.#references.delete(id);
    if (this.#backends.has(id)) this.unreferenced.add(id);
  }

  /** Once all are put: no reader holds an id in between that is not there. */
  freeGaps(): void {
    for (let id = 1; id < this.nextId; id += 1) if (!this.#backends.has(id)) this.freeIds.add(id);
  }
}
