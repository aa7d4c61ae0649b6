/** Lists and watches over HTTP: where a watch begins, what it tells, when it says Gone, and how soon. */
import assert from 'node:assert/strict';
import type { KubeObject } from '@tombolo/small-kubernetes/api/objects.ts';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';
import fc from 'fast-check';
import { told, WatchStream } from './watch-stream.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';

interface List {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly KubeObject[];
}

describe('watches of the development API server', () => {
  let api: KubernetesApi;
  const streams: WatchStream[] = [];

  const map = (name: string, labels: { [key: string]: string } = {}, n = 0) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', labels },
    data: { n: String(n) },
  });
  const put = (...names: string[]) => names.map((name) => api.operations.createObject(map(name)));
  const relabel = (object: KubeObject, labels: { [key: string]: string }) =>
    api.operations.change(object, ({ metadata }) => void Object.assign(metadata, { labels }));
  const watch = async (query: string, path = MAPS) => {
    const stream = await WatchStream.open(api.url, `${path}?watch=true&${query}`);
    streams.push(stream);
    return stream;
  };
  const fetchJson = async <T>(path: string): Promise<T> => (await (await fetch(api.url + path)).json()) as T;

  beforeEach(async () => {
    api = await startKubernetesApi({ listen: { port: 0 }, historySize: 50, bookmarkIntervalMs: 20 });
  });
  afterEach(async () => {
    for (const stream of streams.splice(0)) stream.close();
    await api.close();
  });

  it('begins after the revision of a list', async () => {
    put('a');
    const { metadata } = await fetchJson<List>(MAPS);
    put('b');
    const stream = await watch(`resourceVersion=${metadata.resourceVersion}`);
    put('c');
    assert.deepEqual(told(await stream.atLeast(2)), ['ADDED b', 'ADDED c']);
  });

  it('begins with what there is when no revision is given, and for 0', async () => {
    put('a', 'b');
    for (const query of ['', 'resourceVersion=0']) {
      const stream = await watch(query);
      assert.deepEqual(told(await stream.atLeast(2)), ['ADDED a', 'ADDED b']);
    }
  });

  it('tells changes of a selection as coming and going', async () => {
    const [a] = put('a');
    assert.ok(a);
    const stream = await watch(`labelSelector=on%3Dyes&resourceVersion=${api.store.revision}`);
    relabel(a, { on: 'yes' });
    relabel(a, { on: 'yes', more: 'x' });
    const last = relabel(a, { on: 'no' });
    const events = await stream.atLeast(3);
    assert.deepEqual(told(events), ['ADDED a', 'MODIFIED a', 'DELETED a']);
    assert.equal(events[2]?.object.metadata.resourceVersion, last.metadata.resourceVersion);
  });

  it('follows one object by name, by field and by path', async () => {
    put('a', 'b');
    for (const [query, path] of [
      ['fieldSelector=metadata.name%3Db', MAPS],
      ['', `${MAPS}/b`],
    ] as const) {
      const stream = await watch(query, path);
      assert.deepEqual(told(await stream.atLeast(1)), ['ADDED b']);
    }
  });

  it('tells a deletion with the last state and the revision of the deletion', async () => {
    const [a] = put('a');
    assert.ok(a);
    const stream = await watch(`resourceVersion=${api.store.revision}`);
    api.operations.deleteObject(a);
    const [event] = await stream.atLeast(1);
    assert.equal(event?.type, 'DELETED');
    assert.equal(event?.object.metadata.resourceVersion, String(api.store.revision));
    assert.deepEqual(event?.object['data'], { n: '0' });
  });

  it('says Gone for a revision that was compacted, and for one that left the history', async () => {
    put('a');
    const old = api.store.revision;
    put('b');
    api.store.compact();
    const stream = await watch(`resourceVersion=${old}`);
    const [event] = await stream.atLeast(1);
    assert.deepEqual(
      [stream.status, event?.type, event?.object.code, event?.object.reason],
      [200, 'ERROR', 410, 'Expired'],
    );
    await stream.ended;
    const before = api.store.revision;
    for (let n = 0; n < 200; n++) put(`n${n}`);
    assert.deepEqual(told(await (await watch(`resourceVersion=${before}`)).atLeast(1)), ['ERROR 410']);
  });

  it('compacts by request', async () => {
    const before = api.store.revision;
    put('a');
    const answer = await fetch(`${api.url}/debug/compact`, { method: 'POST' });
    assert.deepEqual(await answer.json(), { compactedRevision: api.store.revision });
    assert.deepEqual(told(await (await watch(`resourceVersion=${before}`)).atLeast(1)), ['ERROR 410']);
  });

  it('sends bookmarks to those who ask, of revisions to go on from', async () => {
    const asking = await watch(`allowWatchBookmarks=true&resourceVersion=${api.store.revision}`);
    const other = await watch(`resourceVersion=${api.store.revision}`);
    api.operations.createObject({ ...map('s'), kind: 'Secret' });
    const revision = String(api.store.revision);
    for (let count = 1; asking.events.at(-1)?.object.metadata.resourceVersion !== revision; count++)
      await asking.atLeast(count);
    assert.ok(asking.events.every(({ type }) => type === 'BOOKMARK'));
    put('a');
    assert.deepEqual(told(await other.atLeast(1)), ['ADDED a']);
  });

  it('marks the end of the initial events', async () => {
    put('a');
    const stream = await watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    const [first, mark] = await stream.atLeast(2);
    assert.equal(first?.type, 'ADDED');
    assert.equal(mark?.type, 'BOOKMARK');
    assert.equal(mark?.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
  });

  it('ends after timeoutSeconds, and when the server closes', async () => {
    const short = await watch('timeoutSeconds=1');
    await short.ended;
    const open = await watch('');
    await api.close();
    await open.ended;
  });

  it('gives the live list when its events are replayed over an earlier list', async () => {
    const action = fc.tuple(fc.constantFrom('put', 'put', 'delete'), fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(5));
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const list = await fetchJson<List>(MAPS);
        const stream = await watch(`resourceVersion=${list.metadata.resourceVersion}`);
        for (const [verb, name, n] of actions) {
          const existing = api.store.get('/configmaps', 'default', name);
          if (verb === 'delete') {
            if (existing) api.operations.deleteObject(existing);
          } else if (existing)
            api.operations.change(existing, (draft) => void Object.assign(draft, { data: { n: String(n) } }));
          else api.operations.createObject(map(name, {}, n));
        }
        const [end] = put('end');
        assert.ok(end);
        const objects = new Map(list.items.map((object) => [object.metadata.name, object]));
        for (let count = 1; stream.events.at(-1)?.object.metadata.name !== 'end'; count++) await stream.atLeast(count);
        for (const { type, object } of stream.events) {
          if (type === 'DELETED') objects.delete(object.metadata.name);
          else objects.set(object.metadata.name, object);
        }
        stream.close();
        assert.deepEqual(
          [...objects.keys()].sort(),
          api.store.list('/configmaps').map(({ metadata }) => metadata.name),
        );
        assert.deepEqual(
          objects,
          new Map(api.store.list('/configmaps').map((o) => [o.metadata.name, objects.get(o.metadata.name)])),
        );
        for (const live of api.store.list('/configmaps')) assert.deepEqual(objects.get(live.metadata.name), live);
        api.operations.deleteObject(end);
      }),
      { numRuns: 40 },
    );
  });

  it('pages show one moment, even when objects come and go between them', async () => {
    const made = put('a', 'b', 'c', 'd', 'e');
    const first = await fetchJson<List>(`${MAPS}?limit=2`);
    assert.equal(first.metadata.remainingItemCount, 3);
    put('aa', 'cc');
    if (made[3]) api.operations.deleteObject(made[3]);
    const second = await fetchJson<List>(`${MAPS}?limit=2&continue=${first.metadata.continue}`);
    const third = await fetchJson<List>(`${MAPS}?limit=2&continue=${second.metadata.continue}`);
    const names = [first, second, third].flatMap(({ items }) => items.map(({ metadata }) => metadata.name));
    assert.deepEqual(names, ['a', 'b', 'c', 'd', 'e']);
    assert.equal(third.metadata.continue, undefined);
    assert.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
    api.store.compact();
    const late = await fetch(`${api.url}${MAPS}?limit=2&continue=${first.metadata.continue}`);
    assert.equal(late.status, 410);
  });

  it('says in a sentence why it cannot serve', async () => {
    const port = Number(new URL(api.url).port);
    await assert.rejects(
      startKubernetesApi({ listen: { port } }),
      /Cannot serve the Kubernetes API on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
    await assert.rejects(startKubernetesApi({ listen: {} }), /expected a port or a unix socket/);
  });

  it('answers wrong requests with a Status', async () => {
    const cases: readonly (readonly [string, RequestInit, number, string])[] = [
      ['/api/v1/nonsense', {}, 404, 'NotFound'],
      [`${MAPS}/missing`, {}, 404, 'NotFound'],
      [MAPS, { method: 'PUT' }, 405, 'MethodNotAllowed'],
      [MAPS, { method: 'POST', body: '{' }, 400, 'BadRequest'],
      [MAPS, { method: 'POST', body: 'x', headers: { 'content-type': 'text/html' } }, 415, 'UnsupportedMediaType'],
      [`${MAPS}?limit=x`, {}, 400, 'BadRequest'],
      [`${MAPS}?labelSelector=a%3Db%3Dc`, {}, 400, 'BadRequest'],
      [`${MAPS}?continue=zzz`, {}, 400, 'BadRequest'],
      [MAPS, { headers: { accept: 'application/vnd.kubernetes.protobuf' } }, 406, 'NotAcceptable'],
      ['/api/v1/%zz', {}, 400, 'BadRequest'],
    ];
    for (const [path, init, code, reason] of cases) {
      const answer = await fetch(api.url + path, {
        ...init,
        headers: { 'content-type': 'application/json', ...init.headers },
      });
      const status = (await answer.json()) as { kind: string; code: number; reason: string };
      assert.deepEqual([answer.status, status.kind, status.code, status.reason], [code, 'Status', code, reason], path);
    }
  });
});
