import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { Operations } from '../api/operations.ts';
import { Registry } from '../api/resource.ts';
import { Store } from '../api/store.ts';
import { Controller } from './controller.ts';

/** Notes what it looks at, and then does as the test says. */
class Noting extends Controller {
  readonly seen: string[] = [];
  readonly #then: (key: string) => void;

  constructor(then: (key: string) => void = () => {}, log: Logger = silentLogger) {
    const store = new Store({ historySize: 1, firstRevision: 0 });
    super(new Operations({ store, registry: new Registry([]), serviceRanges: [] }), log);
    this.#then = then;
  }

  override mark(key: string): void {
    super.mark(key);
  }

  protected reconcile(key: string): void {
    this.seen.push(key);
    this.#then(key);
  }
}

describe('Controller', () => {
  it('looks at a key once however often it was marked, after the turn that marked it', async () => {
    const controller = new Noting();
    for (const key of ['a', 'b', 'a']) controller.mark(key);
    assert.deepEqual(controller.seen, []);
    await setImmediate();
    assert.deepEqual(controller.seen, ['a', 'b']);
  });

  it('goes on past a key that fails, and looks again when it is marked again', async () => {
    const warnings: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_, msg) => void warnings.push(msg), child: () => log };
    const failing = new Noting((key) => assert.notEqual(key, 'bad'), log);
    failing.mark('bad');
    failing.mark('good');
    await setImmediate();
    failing.mark('bad');
    await setImmediate();
    assert.deepEqual(failing.seen, ['bad', 'good', 'bad']);
    assert.deepEqual(warnings, ['Cannot reconcile', 'Cannot reconcile']);
  });

  it('lets the event loop turn when a controller never comes to rest, and goes on afterwards', async () => {
    const restless: Noting = new Noting((key) => restless.mark(key));
    restless.mark('a');
    await setImmediate();
    const before = restless.seen.length;
    await setImmediate();
    await setImmediate();
    assert.ok(restless.seen.length > before);
    restless.close();
  });

  it('does nothing once closed', async () => {
    const controller = new Noting();
    controller.mark('a');
    controller.close();
    await setImmediate();
    assert.deepEqual(controller.seen, []);
  });
});
