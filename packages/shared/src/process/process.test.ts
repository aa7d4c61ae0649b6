import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { backoff } from './backoff.ts';
import { HealthTree } from './health.ts';
import { serveHealth } from './http.ts';
import { Lifecycle } from './lifecycle.ts';

describe('backoff()', () => {
  it('doubles up to the limit', () => {
    const delays: number[] = [];
    for (let wait = backoff({ first: 100, limit: 500, random: () => 0.5 }); delays.length < 4; wait = wait.next()) {
      delays.push(wait.delay);
    }
    assert.deepEqual(delays, [100, 200, 400, 500]);
  });

  it('stays within the limit whatever the jitter', () => {
    assert.equal(backoff({ first: 500, limit: 500, random: () => 0.99 }).delay, 500);
  });
});

describe('Lifecycle', () => {
  it('stops in reverse what was started, past failures', async () => {
    const seen: string[] = [];
    const lifecycle = new Lifecycle();
    const hook = (name: string, fails = false) => ({
      name,
      start: async () => void seen.push(`start ${name}`),
      stop: async () => {
        seen.push(`stop ${name}`);
        if (fails) throw new Error('no');
      },
    });
    lifecycle.add(hook('a'));
    lifecycle.add(hook('b', true));
    lifecycle.add({ name: 'c', start: () => Promise.reject(new Error('cannot start')) });
    lifecycle.add(hook('d'));
    await assert.rejects(lifecycle.start(), /cannot start/);
    await assert.rejects(lifecycle.stop(), (error: AggregateError) => error.errors.length === 1);
    assert.deepEqual(seen, ['start a', 'start b', 'stop b', 'stop a']);
  });
});

describe('serveHealth()', () => {
  const open = async (port = 0) => {
    const health = new HealthTree();
    health.expect('table');
    return {
      health,
      server: await serveHealth({ host: '127.0.0.1', port, health, metrics: async () => new Registry() }),
    };
  };

  it('is alive at once and ready when every expected part was', async () => {
    const { health, server } = await open();
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [response.status, await response.text()];
    };
    try {
      assert.deepEqual(await get('/healthz'), [200, 'ok\n']);
      assert.deepEqual(await get('/readyz'), [503, 'Waiting for: table\n']);
      health.report('table', { kind: 'degraded', reason: 'slow' });
      assert.deepEqual(await get('/readyz'), [200, 'Ready\ntable: slow\n']);
      health.report('table', { kind: 'ok' });
      assert.deepEqual(await get('/readyz'), [200, 'Ready\n']);
      assert.equal((await get('/metrics'))[0], 200);
      assert.equal((await get('/other'))[0], 404);
    } finally {
      await server.close();
    }
  });

  it('says which port is taken', async () => {
    const { server } = await open();
    try {
      await assert.rejects(open(server.port), new RegExp(`Cannot serve health on 127.0.0.1:${server.port}`));
    } finally {
      await server.close();
    }
  });
});
