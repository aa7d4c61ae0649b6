import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { sampleEndpoint, sampleService } from '@tombolo/shared/model/samples.fixture.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts, TableChanges, TableSnapshot } from '@tombolo/shared/model/service-table.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import type { Closable } from '../persist.ts';
import { ChangeLog } from '../table/change-log.ts';
import { serveHealthChecks } from './check-ports.ts';

const HERE = { node: 'node-1', scope: 'all' } as const;

class Table {
  readonly #log = new ChangeLog<ServiceKey, ServiceFacts>();
  readonly #listeners = new Set<() => void>();

  publish(changes: ReadonlyMap<ServiceKey, ServiceFacts | undefined>): void {
    this.#log.publish(this.#log.revision + 1, changes);
    for (const listener of this.#listeners) listener();
  }

  snapshot(): TableSnapshot {
    return { revision: this.#log.revision, services: this.#log.snapshot() };
  }

  changesSince(revision: number): TableChanges | 'compacted' {
    return this.#log.changesSince(revision);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

async function listenAt(port: number): Promise<Server> {
  const server = createServer().listen(port);
  await once(server, 'listening');
  return server;
}

async function freePort(): Promise<number> {
  const server = await listenAt(0);
  const { port } = server.address() as { port: number };
  await once(server.close(), 'close');
  return port;
}

describe('serveHealthChecks()', () => {
  let table: Table;
  let checks: Closable;
  let healthy: boolean;
  let state: Health;
  let warnings: unknown[];
  let reported: (() => void) | undefined;

  const log: Logger = {
    ...silentLogger,
    child: (bound) => ({ ...log, warn: (fields) => void warnings.push({ ...bound, ...fields }) }),
  };

  beforeEach(() => {
    table = new Table();
    healthy = true;
    state = { kind: 'starting' };
    warnings = [];
    reported = undefined;
    const report = (next: Health) => {
      state = next;
      reported?.();
    };
    checks = serveHealthChecks({ table, here: HERE, healthy: () => healthy, log, report, firstWaitMs: 1 });
  });
  afterEach(() => checks.close());

  /** Of one Service: its port (0: none; undefined: no Service) and how many endpoints it has here. */
  const tell = (name: string, healthCheckNodePort: number | undefined, endpoints = 1): void => {
    const key = serviceKey('shop', name);
    if (healthCheckNodePort === undefined) {
      table.publish(new Map([[key, undefined]]));
      return;
    }
    const service = sampleService(key, { externalTrafficPolicy: 'Local', healthCheckNodePort });
    const local = Array.from({ length: endpoints }, (_, i) => sampleEndpoint(`10.1.0.${i + 1}`));
    const facts = { key, service, takesPart: true, endpoints: local, remotes: [], refusedFrontends: new Map() };
    table.publish(new Map([[key, facts]]));
  };

  const ask = async (port: number, path = '/healthz', host = '127.0.0.1'): Promise<string> => {
    const response = await fetch(`http://${host}:${port}${path}`, { headers: { connection: 'close' } }).catch(
      () => undefined,
    );
    if (!response) return 'closed';
    const { service, localEndpoints } = (await response.json()) as {
      service: { name: string };
      localEndpoints: number;
    };
    return `${response.status} ${service.name} ${localEndpoints}`;
  };
  /** Until ports that were asked for are open; what opens and closes is announced by nobody else. */
  const settled = async (port: number, expected: string): Promise<void> => {
    for (let tries = 0; tries < 200 && (await ask(port)) !== expected; tries++) await new Promise(setImmediate);
    assert.equal(await ask(port), expected);
  };

  it('follows a Service: opens, counts, moves and closes', async () => {
    const [first, second] = [await freePort(), await freePort()];
    tell('cart', first);
    await settled(first, '200 cart 1');
    tell('cart', first, 3);
    assert.equal(await ask(first), '200 cart 3');
    tell('cart', first, 0);
    assert.equal(await ask(first), '503 cart 0');
    healthy = false;
    tell('cart', second, 2);
    await settled(second, '503 cart 2');
    healthy = true;
    assert.equal(await ask(second, '/'), '200 cart 2');
    assert.equal(await ask(first), 'closed');
    tell('cart', 0);
    await settled(second, 'closed');
    tell('cart', first);
    await settled(first, '200 cart 1');
    tell('cart', undefined);
    await settled(first, 'closed');
  });

  it('passes a port on to the Service that has it next', async () => {
    const port = await freePort();
    tell('cart', port);
    tell('till', port, 2);
    await settled(port, '200 cart 1');
    tell('cart', undefined);
    assert.equal(await ask(port), '200 till 2');
  });

  it('takes up what was in the table before', async () => {
    const port = await freePort();
    await checks.close();
    tell('cart', port);
    checks = serveHealthChecks({
      table,
      here: HERE,
      healthy: () => healthy,
      log,
      report: () => {},
    });
    await settled(port, '200 cart 1');
  });

  it('answers on IPv6, too, with what the Service has there', async () => {
    const port = await freePort();
    tell('cart', port);
    await settled(port, '200 cart 1');
    assert.equal(await ask(port, '/healthz', '[::1]'), '503 cart 0');
  });

  it('says that a port is taken, serves the others, and takes it when it is free', async () => {
    const other = await listenAt(0);
    const { port: taken } = other.address() as { port: number };
    const port = await freePort();
    const degraded = new Promise<void>((resolve) => {
      reported = () => state.kind === 'degraded' && resolve();
    });
    tell('cart', taken);
    tell('till', port);
    await degraded;
    await settled(port, '200 till 1');
    assert.deepEqual(warnings, [
      {
        service: 'shop/cart',
        port: taken,
        reason: `Cannot serve the health check of shop/cart on *:${taken}: listen EADDRINUSE: address already in use :::${taken}`,
      },
    ]);
    assert.match(
      JSON.stringify(state),
      /1 health checks are not answered, first: Cannot serve the health check of shop\/cart/,
    );
    const ok = new Promise<void>((resolve) => {
      reported = () => state.kind === 'ok' && resolve();
    });
    await once(other.close(), 'close');
    await ok;
    assert.equal(await ask(taken), '200 cart 1');
  });

  it('closes everything at the end, connections and tries too', async () => {
    const other = await listenAt(0);
    const { port: taken } = other.address() as { port: number };
    const port = await freePort();
    tell('cart', port);
    tell('till', taken);
    await settled(port, '200 cart 1');
    const kept = await fetch(`http://127.0.0.1:${port}/`);
    await kept.text();
    await checks.close();
    assert.equal(await ask(port), 'closed');
    tell('cart', port, 2);
    assert.equal(await ask(port), 'closed');
    await once(other.close(), 'close');
  });
});
