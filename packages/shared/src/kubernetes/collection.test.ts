import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Health } from '../process/health.ts';
import { silentLogger } from '../process/logger.ts';
import { ApiError, type KubernetesClient, type StreamHandler } from './client.ts';
import { followCollection } from './collection.ts';
import type { Conversion } from './conversion.ts';

interface Call {
  readonly url: URL;
  open(): void;
  line(text: string): void;
  answer(body: unknown): void;
  fail(error: Error): void;
  end(): void;
}

/** Hands each request to the test, which answers it when it likes. */
class ScriptedClient implements KubernetesClient {
  readonly server = 'http://scripted';
  readonly #calls: Call[] = [];
  readonly #events = new EventTarget();

  async get(path: string, signal: AbortSignal): Promise<string> {
    const fail = () => assert.fail('a listing is no stream');
    return JSON.stringify(await this.#call(path, { opened: fail, line: fail }, signal));
  }

  async stream(path: string, handler: StreamHandler, signal: AbortSignal): Promise<void> {
    await this.#call(path, handler, signal);
  }

  send(): Promise<string> {
    return assert.fail('nothing is written here');
  }

  close(): void {}

  async next(): Promise<Call> {
    while (this.#calls.length === 0) await once(this.#events, 'call');
    const call = this.#calls.shift();
    assert(call);
    return call;
  }

  #call(path: string, handler: StreamHandler, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')));
      const url = new URL(path, this.server);
      let isOpen = false;
      const open = () => {
        if (!isOpen) handler.opened();
        isOpen = true;
      };
      // As the real one: what the callback throws ends the stream.
      const line = (text: string) => {
        open();
        try {
          handler.line(text);
        } catch (error) {
          reject(error);
        }
      };
      this.#calls.push({ url, open, line, answer: resolve, fail: reject, end: () => resolve(undefined) });
      this.#events.dispatchEvent(new Event('call'));
    });
  }
}

const thing = (name: string, resourceVersion: string, text: unknown = name) => ({
  metadata: { name, namespace: 'n', resourceVersion },
  text,
});
const list = (items: readonly unknown[], resourceVersion: string, next?: string) => ({
  metadata: { resourceVersion, continue: next },
  items,
});
const event = (type: string, object: unknown) => JSON.stringify({ type, object });

function convert(object: Readonly<Record<string, unknown>>): Conversion<string> {
  const { text } = object;
  if (text === 'ignore') return { kind: 'ignored' };
  return typeof text === 'string'
    ? { kind: 'value', value: text, warnings: [] }
    : { kind: 'refused', reason: 'text must be a string' };
}

describe('followCollection()', () => {
  let api: ScriptedClient;
  let stop: AbortController;
  let heard: string[];
  let health: Health[];
  let done: Promise<void>;
  let breakOn: string | undefined;
  let relistMs: number;
  let relist: () => void;

  beforeEach(() => {
    api = new ScriptedClient();
    stop = new AbortController();
    heard = [];
    health = [];
    breakOn = undefined;
    relistMs = 3_600_000;
    done = followCollection(
      api,
      { path: '/things', selectors: { labelSelector: 'a=b' }, convert },
      {
        changed: (key, value) => {
          if (value !== undefined && value === breakOn) throw new Error('bug');
          heard.push(`${key}=${value ?? 'gone'}`);
        },
        synced: () => heard.push('synced'),
        refused: (key, reason) => heard.push(`${key} refused: ${reason}`),
      },
      stop.signal,
      silentLogger,
      {
        random: () => 0,
        now: () => Date.parse('2026-01-02T03:04:05Z'),
        report: (each) => health.push(each),
        pageSize: 2,
        relistable: (ask) => {
          relist = ask;
        },
        get relistMs() {
          return relistMs;
        },
      },
    );
  });

  afterEach(async () => {
    stop.abort();
    await done.catch(() => {});
  });

  const heardNow = () => heard.splice(0);

  async function listed(items: readonly unknown[], resourceVersion: string): Promise<Call> {
    (await api.next()).answer(list(items, resourceVersion));
    return api.next();
  }

  /** The server shows the object that changed last, and how far it has come, before the watch is opened again. */
  async function reopened(revision: string, witness?: unknown): Promise<Call> {
    const proof = await api.next();
    assert.equal(proof.url.searchParams.get('limit'), '1');
    proof.answer(list(witness === undefined ? [] : [witness], revision));
    return api.next();
  }

  const isListing = ({ url }: Call) => url.searchParams.get('watch') === null && url.searchParams.get('limit') === '2';

  it('pages through the listing, hands it over whole, and watches from its revision', async () => {
    const first = await api.next();
    assert.equal(first.url.pathname, '/things');
    assert.deepEqual(Object.fromEntries(first.url.searchParams), { labelSelector: 'a=b', limit: '2' });
    first.answer(list([thing('a', '1'), thing('b', '2')], '7', 'more'));
    const second = await api.next();
    assert.equal(second.url.searchParams.get('continue'), 'more');
    assert.deepEqual(heard, []);
    second.answer(list([thing('c', '3')], '7'));
    const watch = await api.next();
    assert.deepEqual(Object.fromEntries(watch.url.searchParams), {
      labelSelector: 'a=b',
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '7',
      timeoutSeconds: '300',
    });
    assert.deepEqual(heard, ['n/a=a', 'n/b=b', 'n/c=c', 'synced']);
    assert.deepEqual(health, [{ kind: 'ok' }]);
  });

  it('hands events on synchronously, and goes on from the last one or bookmark when the watch ends', async () => {
    const watch = await listed([thing('a', '1')], '7');
    heardNow();
    watch.line(event('MODIFIED', thing('a', '8', 'A')));
    watch.line(event('ADDED', thing('b', '9')));
    watch.line(event('DELETED', thing('a', '10')));
    assert.deepEqual(heardNow(), ['n/a=A', 'n/b=b', 'n/a=gone']);
    watch.end();
    const second = await reopened('15');
    assert.equal(second.url.searchParams.get('resourceVersion'), '10');
    second.line(event('BOOKMARK', { metadata: { resourceVersion: '20' } }));
    second.end();
    assert.equal((await reopened('20')).url.searchParams.get('resourceVersion'), '20');
    assert.deepEqual(heardNow(), []);
  });

  it('lists again after 410 Gone, tells what vanished, and is silent about what did not change', async () => {
    const watch = await listed([thing('a', '1'), thing('b', '2'), thing('c', '3')], '7');
    heardNow();
    watch.line(event('ERROR', { kind: 'Status', code: 410, message: 'too old' }));
    const again = await api.next();
    assert.equal(again.url.searchParams.get('watch'), null);
    assert.deepEqual(heard, []);
    again.answer(list([thing('a', '1'), thing('c', '9', 'C')], '30'));
    await api.next();
    assert.deepEqual(heardNow(), ['n/c=C', 'n/b=gone', 'synced']);
  });

  it('lists at once, and without a complaint, when a watch cannot go on: the API server was started again', async () => {
    (await listed([thing('a', '1')], '7')).end();
    const watch = await reopened('9', thing('a', '1'));
    watch.line(event('ERROR', { kind: 'Status', code: 410, message: 'too old resource version: 7 (9)' }));
    assert.ok(isListing(await api.next()));
    assert.deepEqual(health, [{ kind: 'ok' }]);
  });

  it('lists again when opening the watch is answered with 410', async () => {
    const watch = await listed([thing('a', '1')], '7');
    watch.fail(new ApiError(410, 'Gone'));
    assert.equal((await api.next()).url.searchParams.get('watch'), null);
  });

  it('lists again in one piece when the listing outlives its revision', async () => {
    (await api.next()).answer(list([thing('a', '1'), thing('b', '1')], '7', 'more'));
    (await api.next()).fail(new ApiError(410, 'the continue token expired'));
    const again = await api.next();
    assert.deepEqual(Object.fromEntries(again.url.searchParams), { labelSelector: 'a=b' });
    again.answer(list([thing('b', '1')], '8'));
    await api.next();
    assert.deepEqual(heardNow(), ['n/b=b', 'synced']);
  });

  it('lists again after a line that cannot be decoded', async () => {
    const watch = await listed([thing('a', '1')], '7');
    watch.line('{"type":"MODI');
    assert.equal((await api.next()).url.searchParams.get('watch'), null);
  });

  for (const [what, error] of [
    ['is unreachable', new Error('connect ECONNREFUSED')],
    ['is overloaded', new ApiError(503, 'busy')],
    ['no longer knows us', new ApiError(401, 'Unauthorized')],
  ] as const) {
    it(`removes nothing while the API server ${what}, and goes on where it was`, async () => {
      const watch = await listed([thing('a', '1')], '7');
      heardNow();
      watch.fail(error);
      for (let i = 0; i < 2; i++) (await api.next()).fail(error);
      const back = await reopened('7', thing('a', '1'));
      assert.equal(back.url.searchParams.get('resourceVersion'), '7');
      back.open();
      assert.deepEqual(
        health.map((each) => each.kind),
        ['ok', 'degraded', 'degraded', 'degraded', 'ok'],
      );
      back.line(event('MODIFIED', thing('a', '8', 'A')));
      assert.deepEqual(heardNow(), ['n/a=A']);
    });
  }

  it('says since when it fails, through whatever it fails with', async () => {
    const watch = await listed([], '7');
    watch.fail(new Error('first'));
    (await api.next()).fail(new Error('second'));
    await api.next();
    const since = '(since 2026-01-02T03:04:05.000Z)';
    assert.deepEqual(health.slice(1), [
      { kind: 'degraded', reason: `http://scripted: first ${since}` },
      { kind: 'degraded', reason: `http://scripted: second ${since}` },
    ]);
  });

  it('leaves the API server alone for as long as that asks', async () => {
    const watch = await listed([], '7');
    const refusedAt = performance.now();
    watch.fail(new ApiError(429, 'too many requests', 500));
    await api.next();
    assert.ok(performance.now() - refusedAt > 490); // Without being asked it waits for 100 ms.
  });

  it('lists again when the API server is where it was before, and forgets what its other history said', async () => {
    const watch = await listed([thing('a', '1'), thing('b', '2')], '7');
    watch.line(event('MODIFIED', thing('a', '8', 'A')));
    watch.line(event('ADDED', thing('phantom', '9')));
    watch.line(event('DELETED', thing('b', '10')));
    heardNow();
    watch.end();
    const proof = await api.next();
    assert.equal(proof.url.searchParams.get('fieldSelector'), 'metadata.name=b,metadata.namespace=n');
    proof.answer(list([thing('b', '2')], '11'));
    const again = await api.next();
    assert.ok(isListing(again));
    // By now it has come further than before; a revision means something else than it did.
    again.answer(list([thing('a', '8', 'another A'), thing('b', '2')], '11'));
    const back = await api.next();
    assert.deepEqual(heardNow(), ['n/a=another A', 'n/b=b', 'n/phantom=gone', 'synced']);
    assert.equal(back.url.searchParams.get('resourceVersion'), '11');
  });

  it('lists again when what changed last is not there any more: it may have been deleted, or never have been', async () => {
    (await listed([thing('a', '1'), thing('b', '2')], '7')).end();
    const again = await reopened('9');
    assert.ok(isListing(again));
    again.answer(list([thing('a', '1', 'not looked at')], '9'));
    await api.next();
    assert.deepEqual(heardNow(), ['n/a=a', 'n/b=b', 'synced', 'n/b=gone', 'synced']);
  });

  it('notices the same in a listing, and in a watch', async () => {
    const watch = await listed([thing('a', '1')], '7');
    watch.line(event('MODIFIED', thing('a', '30', 'A')));
    watch.line(event('ERROR', { kind: 'Status', code: 410, message: 'too old' }));
    (await api.next()).answer(list([thing('a', '30', 'another A')], '29'));
    const second = await api.next();
    assert.deepEqual(heardNow().slice(-2), ['n/a=another A', 'synced']);
    second.line(event('BOOKMARK', { metadata: { resourceVersion: '28' } }));
    assert.ok(isListing(await api.next()));
  });

  it('concludes nothing from revisions that are no numbers', async () => {
    (await listed([thing('a', 'x')], 'b')).end();
    assert.equal((await reopened('a', thing('a', 'y'))).url.searchParams.get('resourceVersion'), 'b');
  });

  it('lists again when a watch ends and the last listing is old', async () => {
    relistMs = 0;
    const watch = await listed([thing('a', '1'), thing('slipped', '2')], '7');
    heardNow();
    watch.end();
    const again = await api.next();
    assert.ok(isListing(again));
    again.answer(list([thing('a', '1')], '8'));
    await api.next();
    assert.deepEqual(heardNow(), ['n/slipped=gone', 'synced']);
  });

  it('lists anew when it is asked to, whatever is under way: a watch, a proof, a listing', async () => {
    await listed([thing('a', '1'), thing('slipped', '2')], '7');
    heardNow();
    relist();
    const early = await api.next();
    assert.ok(isListing(early));
    early.answer(list([thing('a', '1')], '8'));
    relist(); // It has been answered, and not yet heard.
    const second = await api.next();
    assert.ok(isListing(second));
    second.answer(list([thing('a', '1')], '9', 'more'));
    await api.next();
    relist();
    assert.deepEqual(heardNow(), [], 'what began before counts for nothing');
    const third = await api.next();
    assert.equal(third.url.searchParams.get('continue'), null);
    third.answer(list([thing('a', '1')], '10'));
    (await api.next()).end();
    assert.deepEqual(heardNow(), ['n/slipped=gone', 'synced']);
    assert.equal((await api.next()).url.searchParams.get('limit'), '1');
    relist();
    assert.ok(isListing(await api.next()));
    assert.deepEqual(health, [{ kind: 'ok' }]);
  });

  it('says synced only after a complete listing', async () => {
    (await api.next()).answer(list([thing('a', '1')], '7', 'more'));
    (await api.next()).fail(new Error('reset'));
    (await api.next()).answer({ nonsense: true });
    const again = await api.next();
    assert.deepEqual(heardNow(), []);
    again.answer(list([thing('a', '1')], '8'));
    await api.next();
    assert.deepEqual(heardNow(), ['n/a=a', 'synced']);
  });

  it('refuses one object and goes on with its neighbours; the refused one is gone when it is deleted', async () => {
    const watch = await listed([thing('a', '1'), thing('b', '1', 5)], '7');
    assert.deepEqual(heardNow(), ['n/a=a', 'n/b refused: text must be a string', 'synced']);
    watch.line(event('MODIFIED', thing('a', '8', 6)));
    watch.line(event('ADDED', thing('c', '9')));
    watch.line(event('DELETED', thing('a', '10', 6)));
    assert.deepEqual(heardNow(), ['n/a refused: text must be a string', 'n/c=c', 'n/a=gone']);
  });

  it('tells once that it refuses an object, however often that changes, and anew when the reason does', async () => {
    const watch = await listed([thing('a', '1')], '7');
    heardNow();
    watch.line(event('MODIFIED', thing('a', '8', 6)));
    watch.line(event('MODIFIED', thing('a', '9', 7)));
    assert.deepEqual(heardNow(), ['n/a refused: text must be a string']);
    watch.line(event('MODIFIED', thing('a', '10')));
    watch.line(event('MODIFIED', thing('a', '11', 8)));
    assert.deepEqual(heardNow(), ['n/a=a', 'n/a refused: text must be a string']);
  });

  it('tells an object that is no longer for us as gone', async () => {
    const watch = await listed([thing('a', '1'), thing('b', '1', 'ignore')], '7');
    assert.deepEqual(heardNow(), ['n/a=a', 'synced']);
    watch.line(event('MODIFIED', thing('a', '8', 'ignore')));
    assert.deepEqual(heardNow(), ['n/a=gone']);
  });

  it('takes nothing for vanished when a listing has an object without a name', async () => {
    const watch = await listed([thing('a', '1')], '7');
    heardNow();
    watch.fail(new ApiError(410, 'Gone'));
    (await api.next()).answer(list([{ metadata: { resourceVersion: '3' } }], '8'));
    await api.next();
    assert.deepEqual(heardNow(), [' refused: metadata.name must not be empty', 'synced']);
  });

  it('rejects with what the handler threw', async () => {
    breakOn = 'bad';
    const watch = await listed([], '7');
    watch.line(event('ADDED', thing('a', '8', 'bad')));
    await assert.rejects(done, /bug/);
  });

  it('resolves when its signal aborts, and says nothing more', async () => {
    const watch = await listed([], '7');
    heardNow();
    stop.abort();
    await done;
    watch.line(event('ADDED', thing('a', '8')));
    assert.deepEqual(heardNow(), []);
  });
});

describe('followCollection() that lists', () => {
  for (const [what, characters, limit] of [
    ['of 5,000 characters', 5_000, '104'],
    ['so small that 500 of them make half a page', 500, '500'],
    ['so large that 20 of them make two', 50_000, '20'],
  ] as const) {
    it(`asks for as many objects ${what} as make half a million characters`, async () => {
      const api = new ScriptedClient();
      const stop = new AbortController();
      const handler = { changed: () => {}, synced: () => {}, refused: () => {} };
      const done = followCollection(api, { path: '/things', convert }, handler, stop.signal, silentLogger);
      const first = await api.next();
      assert.equal(first.url.searchParams.get('limit'), '100');
      const padding = 'x'.repeat(characters - 80); // What else an object has is about as long.
      const items = Array.from({ length: 100 }, (_, i) => thing(`a${i}`, '1', padding));
      first.answer(list(items, '7', 'more'));
      assert.ok(Math.abs(Number((await api.next()).url.searchParams.get('limit')) - Number(limit)) <= 2);
      stop.abort();
      await done;
    });
  }
});
