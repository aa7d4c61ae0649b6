/**
 * What a proxy before a real API server, or that itself, may answer: refusals, errors, nothing, late, or half. The table
 * stays, status tells, changes arrive, and nobody is asked more often than it can bear. Every bound below is a lower
 * bound of time for a count of requests: a busy machine can only ask less.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { followCollection } from '@tombolo/shared/kubernetes/collection.ts';
import { SERVICES } from '@tombolo/shared/kubernetes/collections.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { TroubledControlPlane } from './control-plane.ts';
import { type Fault, FaultProxy } from './fault-proxy.ts';
import { FOLLOWERS, Programs } from './programs.ts';
import { openShop, SOON_MS, service, setBackends } from './shop.ts';

const BEFORE = ['10.1.0.1', '10.1.0.2'];
const AFTER = ['10.1.0.2', '10.1.0.3'];
const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';

describe('an API server behind a proxy', () => {
  let kubernetes: TroubledControlPlane;
  let proxy: FaultProxy;
  let programs: Programs;
  let kubeconfig: string;

  before(async () => {
    kubernetes = await TroubledControlPlane.start({ name: 'kfanswers' });
    await openShop(kubernetes.api, BEFORE);
    proxy = await FaultProxy.start(await kubernetes.upstream());
    kubeconfig = `${kubernetes.directory}/proxy.kubeconfig`;
    await writeFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster: { server: proxy.url } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    programs = await Programs.start(kubeconfig);
  });
  after(async () => {
    await programs?.close();
    proxy?.close();
    await kubernetes?.close();
  });
  beforeEach(async () => {
    proxy.fault = () => undefined;
    proxy.watchSeconds = undefined;
    await setBackends(kubernetes.api, BEFORE);
    await programs.have(BEFORE);
    await programs.well();
    await waitUntil('all watches to be open', () => proxy.watches === FOLLOWERS);
    programs.takePublished();
    proxy.asked.splice(0);
  });

  function begin(fault: Fault): void {
    proxy.fault = () => fault;
    proxy.cutWatches();
  }

  async function end(): Promise<void> {
    proxy.fault = () => undefined;
    await setBackends(kubernetes.api, AFTER);
    await programs.have(AFTER, SOON_MS);
    assert.deepEqual(programs.takePublished(), [AFTER]);
    await programs.well(SOON_MS);
  }

  const askedForSlices = () => proxy.asked.filter(({ path }) => path === SLICES);

  /** Of the two programs that ask for slices, the times between the first and the last of `count` requests, together. */
  async function timeOf(count: number): Promise<number> {
    await waitUntil(`${count} requests`, () => askedForSlices().length >= count);
    const times = askedForSlices().map(({ at }) => at);
    return (times[count - 1] ?? 0) - (times[0] ?? 0);
  }

  it('that refuses, fails and is not reached takes nothing away, and is asked less and less', async () => {
    const statusOf: Readonly<Record<string, number>> = {
      '/api/v1/services': 500,
      [SLICES]: 503,
      '/api/v1/nodes': 502,
      '/api/v1/namespaces': 401,
      '/api/v1/pods': 403,
      '/apis/networking.k8s.io/v1/servicecidrs': 504,
    };
    proxy.fault = ({ path }) => ({ kind: 'answer', status: statusOf[path] ?? 505 });
    proxy.cutWatches();
    await programs.complain(/API server answered (40[13]|50[0234])/);
    assert.match(programs.complaints()['kubernetes/services'] ?? '', /answered 500: as the rule says \(since /);
    assert.match(await programs.readiness(), /kubernetes\/pods: .* answered 403: as the rule says \(since /);
    // Each of the two asks after 0, 100, 300 and 700 ms at the soonest.
    assert.ok((await timeOf(8)) >= 690);
    assert.deepEqual(programs.takePublished(), []);
    assert.deepEqual(await programs.exported(), BEFORE);
    await end();
    assert.ok(
      proxy.asked.every(({ kind }) => kind !== 'list'),
      'nothing is listed anew',
    );
  });

  it('that asks with Retry-After to be left alone is left alone', async () => {
    begin({ kind: 'answer', status: 429, headers: { 'retry-after': '2' } });
    await programs.complain(/429/);
    // Each of the two: at 0 and 2 s.
    assert.ok((await timeOf(4)) >= 1_990);
    await end();
  });

  it('that is slow is waited for', async () => {
    begin({ kind: 'delay', ms: 2_000 });
    await setBackends(kubernetes.api, AFTER);
    await programs.have(AFTER, SOON_MS);
    assert.deepEqual(programs.takePublished(), [AFTER]);
    assert.ok(
      askedForSlices().length <= 2 * 3,
      'each asks for its proof, then to watch; the cut may have cost one more',
    );
  });

  it('that cuts each watch at once is asked less and less, and changes arrive all the same', async () => {
    const cutting = setInterval(() => proxy.cutWatches(), 5);
    proxy.asked.splice(0);
    // Proof and watch each time, and again after 100 ms at the soonest.
    assert.ok((await timeOf(8)) >= 95);
    await setBackends(kubernetes.api, AFTER);
    // Of the few attempts each is cut within 5 ms, often before it says anything.
    await programs.have(AFTER, 90_000);
    clearInterval(cutting);
    assert.deepEqual(programs.takePublished(), [AFTER]);
  });

  it('that ends watches after a second, as it may, is not complained of and not listed anew', async () => {
    proxy.watchSeconds = 1;
    proxy.cutWatches();
    proxy.asked.splice(0);
    const watched = () => proxy.asked.filter(({ kind }) => kind === 'watch');
    await waitUntil('watches to have ended', () => watched().length >= 2 * FOLLOWERS);
    await setBackends(kubernetes.api, AFTER);
    await programs.have(AFTER, SOON_MS);
    assert.deepEqual(programs.complaints(), {});
    assert.ok(proxy.asked.every(({ kind }) => kind !== 'list'));
  });

  describe('that goes silent without closing anything', () => {
    /** Both more than it takes a watch to count as one that held. */
    const IDLE_MS = 5_500;
    const ANSWER_MS = 5_500;
    let heard: Set<string>;
    let health: Health[];
    let stop: AbortController;
    let done: Promise<void>;

    beforeEach(async () => {
      heard = new Set();
      health = [];
      stop = new AbortController();
      const client = connectKubernetes({ kubeconfig }, ANSWER_MS);
      const handler = {
        changed: (key: string, value: unknown) => void (value ? heard.add(key) : heard.delete(key)),
        synced: () => {},
        refused: () => {},
      };
      const options = { idleMs: IDLE_MS, report: (each: Health) => void health.push(each) };
      done = followCollection(client, SERVICES, handler, stop.signal, silentLogger, options).finally(() =>
        client.close(),
      );
      await waitUntil('it to be followed', () => heard.has('shop/web') && proxy.watches === FOLLOWERS + 1);
    });
    afterEach(async () => {
      proxy.fault = () => undefined;
      stop.abort();
      await done;
    });

    it('is noticed when nothing was heard for a while: the watch is opened anew and has what was missed', async () => {
      proxy.silenceWatches();
      await kubernetes.api.create(service('missed'));
      await waitUntil('what was missed', () => heard.has('shop/missed'), { timeoutMs: IDLE_MS + SOON_MS });
      assert.deepEqual(health, [{ kind: 'ok' }]);
    });

    it('is complained of when no watch is answered then, either', async () => {
      proxy.silenceWatches();
      proxy.fault = ({ kind }) => (kind === 'watch' ? { kind: 'silence' } : undefined);
      const isWell = () => health.at(-1)?.kind === 'ok';
      await waitUntil('a complaint', () => !isWell(), { timeoutMs: IDLE_MS + ANSWER_MS + SOON_MS });
      assert.match(JSON.stringify(health.at(-1)), /no answer within 5\.5 s \(since /);
      assert.ok(heard.has('shop/web'));
      proxy.fault = () => undefined;
      await waitUntil('it to be well', isWell, { timeoutMs: ANSWER_MS + SOON_MS });
    });
  });
});
