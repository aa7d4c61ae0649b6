/** A datapath whose table is kept in the kernel by a reconciler, as an agent does it; and when it was set right. */
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { Reconciler } from '@tombolo/node-agent/datapath/reconciler.ts';
import type { Routes } from '@tombolo/shared/model/routes.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';

export interface Keeper {
  /** Does the damage; resolves when it has been noticed and repaired, with what was noticed. */
  repairs(damaging: () => unknown): Promise<string>;
  /** Resolves when so many looks at the kernel began since now. */
  looks(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Resolves when the table is in the kernel. */
export async function keep(datapath: Datapath, routes: Routes): Promise<Keeper> {
  let health: Health | undefined;
  let damage = '';
  let [repairs, looks] = [0, 0];
  let changed = Promise.withResolvers<void>();
  const tell = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await changed.promise;
  };
  const table = {
    revision: 1,
    routes,
    routeChangesSince: () => ({ revision: 1, changed: new Map() }),
    onChange: () => () => {},
  };
  const log: Logger = {
    ...silentLogger,
    warn: ({ damage: noticed }) => {
      damage = String(noticed);
    },
  };
  const watched: Datapath = {
    name: datapath.name,
    read: () => datapath.read(),
    apply: (changes) => datapath.apply(changes),
    replace: (desired) => datapath.replace(desired),
    verify: () => {
      looks += 1;
      tell();
      return datapath.verify();
    },
    refresh: () => datapath.refresh(),
    close: () => datapath.close(),
    destroy: () => datapath.destroy(),
  };
  const stop = new AbortController();
  const running = new Reconciler({
    table,
    datapath: watched,
    log,
    report: (reported) => {
      health = reported;
      tell();
    },
    damaged: () => {
      repairs += 1;
    },
  }).run(stop.signal);
  await until(() => health?.kind === 'ok');
  return {
    repairs: async (damaging) => {
      const before = repairs;
      await damaging();
      await until(() => repairs > before && health?.kind === 'ok');
      return damage;
    },
    looks: (count) => {
      const before = looks;
      return until(() => looks >= before + count);
    },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}
