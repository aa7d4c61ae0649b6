import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import type { KubeObject } from '../objects.ts';
import { type KubernetesApi, startKubernetesApi } from '../start.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';

describe('ApiServer', () => {
  let api: KubernetesApi;

  beforeEach(async () => {
    api = await startKubernetesApi({ port: 0, historySize: 50 });
  });
  afterEach(() => api.close());

  const map = (name: string, n = 0) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default' },
    data: { n: String(n) },
  });

  it('gives the live list when the events of a watch are replayed over an earlier list', async () => {
    const action = fc.tuple(fc.constantFrom('put', 'put', 'delete'), fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(5));
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const objects = new Map(api.store.list('/configmaps').map((object) => [object.metadata.name, object]));
        const { body } = await fetch(`${api.url}${MAPS}?watch=true&resourceVersion=${api.store.revision}`);
        const lines = createInterface({ input: Readable.fromWeb(body as never) });
        const heard = new Promise<void>((resolve) => {
          lines.on('line', (line) => {
            const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
            if (type === 'DELETED') objects.delete(object.metadata.name);
            else objects.set(object.metadata.name, object);
            if (object.metadata.name === 'end') resolve();
          });
        });
        for (const [verb, name, n] of actions) {
          const existing = api.store.get('/configmaps', 'default', name);
          const edit = (draft: KubeObject) => void Object.assign(draft, { data: { n: String(n) } });
          if (verb === 'delete') existing && api.operations.deleteObject(existing);
          else if (existing) api.operations.change(existing, edit);
          else api.operations.createObject(map(name, n));
        }
        const end = api.operations.createObject(map('end'));
        await heard;
        lines.close();
        const live = api.store.list('/configmaps').map((object) => [object.metadata.name, object] as const);
        assert.deepEqual(objects, new Map(live));
        api.operations.deleteObject(end);
      }),
      { numRuns: 40 },
    );
  });

  it('forgets what its history has no room for, or what it is told to forget', async () => {
    const isGone = async (revision: number) => {
      const answer = await fetch(`${api.url}${MAPS}?watch=true&timeoutSeconds=1&resourceVersion=${revision}`);
      return (await answer.text()).includes('"code":410');
    };
    const first = api.store.revision;
    for (let n = 0; n < 200; n++) api.operations.createObject(map(`n${n}`));
    assert.equal(await isGone(first), true);
    const last = api.store.revision - 1;
    assert.equal(await isGone(last), false);
    api.store.compact();
    assert.equal(await isGone(last), true);
  });

  it('ends watches when it closes', async () => {
    const { body } = await fetch(`${api.url}${MAPS}?watch=true`);
    const stream = Readable.fromWeb(body as never);
    const ended = once(
      stream.resume().on('error', () => {}),
      'close',
    );
    await api.close();
    await ended;
  });

  it('answers what it cannot read with a Status', async () => {
    const cases: readonly (readonly [string, RequestInit, number, string])[] = [
      [MAPS, { method: 'POST', body: '{' }, 400, 'BadRequest'],
      [MAPS, { method: 'POST', body: 'x', headers: { 'content-type': 'text/html' } }, 415, 'UnsupportedMediaType'],
      [`${MAPS}/x`, { method: 'PATCH', body: '{}' }, 415, 'UnsupportedMediaType'],
      [`${MAPS}?limit=x`, {}, 400, 'BadRequest'],
      [`${MAPS}?continue=zzz`, {}, 400, 'BadRequest'],
      [MAPS, { headers: { accept: 'application/vnd.kubernetes.protobuf' } }, 406, 'NotAcceptable'],
    ];
    for (const [path, init, code, reason] of cases) {
      const headers = { 'content-type': 'application/json', ...init.headers };
      const answer = await fetch(api.url + path, { ...init, headers });
      const status = (await answer.json()) as { code: number; reason: string };
      assert.deepEqual([answer.status, status.code, status.reason], [code, code, reason], path);
    }
  });

  it('says in a sentence why it cannot serve', async () => {
    const port = Number(new URL(api.url).port);
    const taken = /Cannot serve the Kubernetes API on 127\.0\.0\.1:\d+: .*EADDRINUSE/;
    await assert.rejects(startKubernetesApi({ port }), taken);
  });
});
