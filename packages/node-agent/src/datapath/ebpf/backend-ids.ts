/**
 * Which id a backend has. By port and cluster first, of which there are few combinations: the address is then the key as
 * it is, and no text is made for a look-up.
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
