/**
 * A datapath without a kernel, for tests of what stands above it. It is strict: a call that could not come from a
 * correct reconciler throws. `MemoryKernel` is what outlives the process: give the same one to a second
 * `MemoryDatapath` to play a restart.
 */
import { type FrontendRoute, isSameRoute, type RouteChanges, type Routes } from '@tombolo/shared/model/routes.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { ApplyReport, Datapath } from './datapath.ts';
import { faultOfRoute } from './route-checks.ts';

/** What is programmed, by `frontendId`. Tests look into it. */
export class MemoryKernel {
  readonly routes = new Map<string, FrontendRoute>();

  /** `address:port` of each backend of one frontend; undefined when the frontend is not served. */
  backendsOf(frontend: Omit<Frontend, 'kind'>): readonly string[] | undefined {
    const route = this.routes.get(frontendId(frontend));
    return route?.backends.map((backend) => `${backend.address}:${String(backend.port)}`);
  }
}

export class MemoryDatapath implements Datapath {
  readonly name = 'memory';
  readonly kernel: MemoryKernel;
  /** Each call that was made, in order, as `read`, `apply`, `replace` or `verify`. */
  readonly calls: string[] = [];
  /** What `verify` finds, until the next `replace`. */
  damage: string | undefined;
  /** What the next `refresh` answers. */
  wantsTable = false;
  refreshes = 0;
  readonly #faults = new Map<string, string>();
  #state: 'open' | 'busy' | 'closed' = 'open';

  constructor(kernel: MemoryKernel = new MemoryKernel()) {
    this.kernel = kernel;
  }

  /** From now on this frontend cannot be set, until `heal`. */
  fail(frontend: Frontend, reason: string): void {
    this.#faults.set(frontendId(frontend), reason);
  }

  heal(frontend: Frontend): void {
    this.#faults.delete(frontendId(frontend));
  }

  read(): Promise<readonly FrontendRoute[]> {
    return this.#call('read', () => [...this.kernel.routes.values()]);
  }

  apply(changes: RouteChanges): Promise<ApplyReport> {
    return this.#call('apply', () => this.#program(changes));
  }

  async refresh(): Promise<boolean> {
    this.refreshes += 1;
    const wants = this.wantsTable;
    this.wantsTable = false;
    return wants;
  }

  replace(desired: Routes): Promise<ApplyReport> {
    return this.#call('replace', () => {
      this.damage = undefined;
      const gone = [...this.kernel.routes.keys()].filter((id) => !desired.has(id));
      return this.#program(new Map([...desired, ...gone.map((id) => [id, undefined] as const)]));
    });
  }

  verify(): Promise<string | undefined> {
    return this.#call('verify', () => this.damage);
  }

  close(): Promise<void> {
    return this.#call('close', () => {
      this.#state = 'closed';
    });
  }

  destroy(): Promise<void> {
    return this.#call('destroy', () => {
      this.kernel.routes.clear();
      this.#state = 'closed';
    });
  }

  #program(changes: RouteChanges): ApplyReport {
    for (const [id, route] of changes) {
      const fault =
        route && (faultOfRoute(route) ?? (frontendId(route.frontend) === id ? undefined : `its id is ${id}`));
      if (fault !== undefined) throw new Error(`Cannot program route: ${fault}`);
    }
    const failures: { frontend: Frontend; reason: string }[] = [];
    let changed = 0;
    for (const [id, route] of changes) {
      const reason = this.#faults.get(id);
      if (route === undefined) changed += Number(this.kernel.routes.delete(id));
      else if (reason !== undefined) failures.push({ frontend: route.frontend, reason });
      else if (!isSameRoute(this.kernel.routes.get(id), route)) {
        this.kernel.routes.set(id, route);
        changed += 1;
      }
    }
    return { changed, failures };
  }

  /** Each call takes a turn of the event loop, as a real one does: so overlapping calls are seen. */
  async #call<T>(call: string, body: () => T): Promise<T> {
    if (this.#state !== 'open') {
      throw new Error(`Cannot ${call} memory datapath: expected it to be open: current value is "${this.#state}"`);
    }
    this.calls.push(call);
    this.#state = 'busy';
    try {
      await new Promise((resolve) => setImmediate(resolve));
      return body();
    } finally {
      if (this.#state === 'busy') this.#state = 'open';
    }
  }
}
