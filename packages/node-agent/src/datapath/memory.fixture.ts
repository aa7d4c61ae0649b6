/**
 * A datapath without a kernel, for tests of what stands above it. It is strict: a call that could not come from a
 * correct reconciler throws. `MemoryKernel` is what outlives the process: give the same one to a second
 * `MemoryDatapath` to play a restart.
 */
import type { Route, RouteBackend, RouteChanges, Routes, ServiceRoutes } from '@tombolo/shared/model/routes.ts';
import type { ServiceKey } from '@tombolo/shared/model/service.ts';
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';
import type { ApplyReport, Datapath, KernelRoute } from './datapath.ts';
import { faultOfRoutes } from './route-checks.ts';

export interface MemoryRoute extends KernelRoute {
  readonly sessionAffinitySeconds: number;
}

/** What is programmed, by `frontendId`. Tests look into it. */
export class MemoryKernel {
  readonly routes = new Map<string, MemoryRoute>();

  /** `address:port` of each backend of one frontend; undefined when the frontend is not served. */
  backendsOf(frontend: Omit<Frontend, 'kind'>): readonly string[] | undefined {
    const route = this.routes.get(frontendId(frontend));
    return route?.backends.map((backend) => `${backend.address}:${String(backend.port)}`);
  }
}

export class MemoryDatapath implements Datapath {
  readonly name = 'memory';
  readonly kernel: MemoryKernel;
  /** Each call that was made, in order, as `read`, `apply` or `replace`. */
  readonly calls: string[] = [];
  /** The Services that this instance was told of. */
  #owned: ReadonlyMap<ServiceKey, ServiceRoutes> = new Map();
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

  read(): Promise<readonly KernelRoute[]> {
    return this.#call('read', () => [...this.kernel.routes.values()]);
  }

  apply(changes: RouteChanges): Promise<ApplyReport> {
    return this.#call('apply', () => {
      const next = new Map(this.#owned);
      for (const [service, routes] of changes) {
        if (routes === undefined) next.delete(service);
        else next.set(service, routes);
      }
      const gone = new Set([...changes.keys()].flatMap((key) => idsOf(this.#owned.get(key) ?? [])));
      return this.#program(next, changes.keys(), gone);
    });
  }

  replace(desired: Routes): Promise<ApplyReport> {
    return this.#call('replace', () =>
      this.#program(new Map(desired), desired.keys(), new Set(this.kernel.routes.keys())),
    );
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

  /** Sets the routes of `services` as `next` has them; of `removable` those go that nothing in `next` claims. */
  #program(next: Map<ServiceKey, ServiceRoutes>, services: Iterable<ServiceKey>, removable: Set<string>): ApplyReport {
    const fault = faultOfRoutes(next);
    if (fault !== undefined) throw new Error(`Cannot program routes: ${fault}`);
    this.#owned = next;
    const failures: { frontend: Frontend; reason: string }[] = [];
    let changed = 0;
    for (const service of services) {
      for (const route of next.get(service) ?? []) {
        for (const frontend of route.frontends) {
          const reason = this.#faults.get(frontendId(frontend));
          if (reason !== undefined) failures.push({ frontend, reason });
          else if (this.#set(frontend, route)) changed += 1;
        }
      }
    }
    const wanted = new Set([...next.values()].flatMap(idsOf));
    for (const id of removable) if (!wanted.has(id) && this.kernel.routes.delete(id)) changed += 1;
    return { changed, failures };
  }

  #set(frontend: Frontend, { backends, sessionAffinitySeconds }: Route): boolean {
    const id = frontendId(frontend);
    const present = this.kernel.routes.get(id);
    if (present !== undefined && sameChoice(present, { backends, sessionAffinitySeconds })) return false;
    this.kernel.routes.set(id, { frontend, backends, sessionAffinitySeconds });
    return true;
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

const idsOf = (routes: ServiceRoutes): string[] => routes.flatMap((route) => route.frontends.map(frontendId));

type Choice = Pick<Route, 'backends' | 'sessionAffinitySeconds'>;

function sameChoice(a: Choice, b: Choice): boolean {
  return (
    a.sessionAffinitySeconds === b.sessionAffinitySeconds &&
    a.backends.length === b.backends.length &&
    a.backends.every((backend, i) => sameBackend(backend, b.backends[i]))
  );
}

const sameBackend = (a: RouteBackend, b: RouteBackend | undefined): boolean =>
  a.address === b?.address && a.port === b.port && a.clusterId === b.clusterId;
