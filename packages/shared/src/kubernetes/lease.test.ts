import assert from 'node:assert/strict';
import { FakeClock } from '../process/clock.fixture.ts';
import { ApiError, type KubernetesClient } from './client.ts';
import { KubernetesLease, type LeaseClaim, mayHold, seenClaim } from './lease.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/mesh/leases';

/** An API server with one Lease. */
class Api {
  object: { metadata: Record<string, unknown>; spec: Record<string, unknown> } | undefined;
  readonly asked: string[] = [];
  /** Runs between a read and the write that follows it. */
  meanwhile: () => void = () => {};
  status: number | undefined;
  #revision = 0;

  readonly client = {
    get: async (path: string) => {
      this.#visit('GET', path);
      if (!this.object) throw new ApiError(404, 'not found');
      return JSON.stringify(this.object);
    },
    send: async (
      method: string,
      path: string,
      body: Api['object'] & { preconditions?: { resourceVersion: string } },
    ) => {
      this.meanwhile();
      this.#visit(method, path);
      const revision = method === 'DELETE' ? body.preconditions?.resourceVersion : body.metadata['resourceVersion'];
      if (revision !== this.object?.metadata['resourceVersion']) throw new ApiError(409, 'conflict');
      if (method === 'DELETE') this.object = undefined;
      else this.write(body.metadata, body.spec);
      return {};
    },
  } as unknown as KubernetesClient;

  write(metadata: Record<string, unknown>, spec: Record<string, unknown>): void {
    this.object = structuredClone({ metadata: { ...metadata, resourceVersion: `${++this.#revision}` }, spec });
  }

  #visit(method: string, path: string): void {
    this.asked.push(`${method} ${path}`);
    if (this.status !== undefined) throw new ApiError(this.status, 'no');
  }
}

describe('KubernetesLease', () => {
  let clock: FakeClock;
  let api: Api;
  const { signal } = new AbortController();
  beforeEach(() => {
    clock = new FakeClock();
    api = new Api();
  });

  const lease = (identity: string) =>
    new KubernetesLease(api.client, { namespace: 'mesh', name: 'exporter', identity, clock });

  it('makes the Lease as client-go does, and renews it', async () => {
    const ours = lease('one');
    assert.equal(await ours.step(signal), 'leader');
    const made = {
      holderIdentity: 'one',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-02T03:04:05.000000Z',
      renewTime: '2026-01-02T03:04:05.000000Z',
      leaseTransitions: 0,
    };
    assert.deepEqual(api.object?.spec, made);
    await clock.advance(2_000);
    assert.equal(await ours.step(signal), 'leader');
    assert.deepEqual(api.object?.spec, { ...made, renewTime: '2026-01-02T03:04:07.000000Z' });
    assert.deepEqual(api.asked, [
      `GET ${PATH}/exporter`,
      `POST ${PATH}`,
      `GET ${PATH}/exporter`,
      `PUT ${PATH}/exporter`,
    ]);
  });

  it('stands by while the holder renews, whatever the clocks say, and takes over when it has not for 15 s', async () => {
    const [first, second] = [lease('one'), lease('two')];
    await first.step(signal);
    for (let i = 0; i < 20; i++) {
      clock.setWallTime(Date.UTC(2030, 0, i));
      await first.step(signal);
      assert.equal(await second.step(signal), 'standby');
      await clock.advance(2_000);
    }
    await clock.advance(12_999);
    assert.equal(await second.step(signal), 'standby');
    await clock.advance(1);
    assert.equal(await second.step(signal), 'leader');
    assert.equal(api.object?.spec['leaseTransitions'], 1);
    assert.equal(await first.step(signal), 'standby');
  });

  it('takes over at once what was left, or bears its own name, and keeps what others wrote into the object', async () => {
    const first = lease('one');
    await first.step(signal);
    await lease('two').release(signal);
    assert(api.object, 'another may not release it');
    await first.release(signal);
    assert.equal(api.object, undefined);
    assert.equal(await lease('two').step(signal), 'leader');
    const metadata = () => api.object?.metadata ?? {};
    const spec = () => api.object?.spec ?? {};
    api.write({ ...metadata(), labels: { a: 'b' } }, { ...spec(), preferredHolder: 'x' });
    assert.equal(await lease('two').step(signal), 'leader');
    assert.deepEqual([metadata()['labels'], spec()['preferredHolder']], [{ a: 'b' }, 'x']);
    api.write(metadata(), { ...spec(), holderIdentity: '' });
    assert.equal(await lease('one').step(signal), 'leader');
  });

  it('stands by when somebody was faster', async () => {
    const [first, second] = [lease('one'), lease('two')];
    api.meanwhile = () => {
      api.meanwhile = () => {};
      api.write({ name: 'exporter' }, { holderIdentity: 'two', leaseDurationSeconds: 15 });
    };
    assert.equal(await first.step(signal), 'standby');
    assert.equal(await second.step(signal), 'leader');
  });

  it('rejects when the API server refuses or does not answer', async () => {
    api.status = 403;
    await assert.rejects(lease('one').step(signal), /403/);
    const client = {
      get: (_: string, within: AbortSignal) =>
        new Promise((_resolve, reject) => {
          within.addEventListener('abort', () => reject(within.reason));
        }),
    } as unknown as KubernetesClient;
    const step = new KubernetesLease(client, { namespace: 'a', name: 'b', identity: 'c', clock }).step(signal);
    const rejected = assert.rejects(step, /no answer within 5 s/);
    await clock.advance(5_000);
    await rejected;
  });
});

describe('mayHold()', () => {
  const claim: LeaseClaim = { holder: 'a', durationSeconds: 15, renewedAt: '1' };
  for (const [what, expected, seen, identity, now] of [
    ['of another, just seen', false, { claim, since: 0 }, 'b', 14_999],
    ['of another, seen for its whole duration', true, { claim, since: 0 }, 'b', 15_000],
    ['of another who says a longer one', false, { claim: { ...claim, durationSeconds: 60 }, since: 0 }, 'b', 59_999],
    ['our own', true, { claim, since: 0 }, 'a', 0],
    ['nobody’s', true, { claim: { ...claim, holder: '' }, since: 0 }, 'b', 0],
  ] as const) {
    it(`is ${expected} for a claim ${what}`, () => assert.equal(mayHold(seen, identity, now), expected));
  }

  it('counts from when a claim was first seen, and anew when it changes', () => {
    const first = seenClaim(undefined, claim, 5);
    assert.equal(seenClaim(first, { ...claim }, 9).since, 5);
    assert.equal(seenClaim(first, { ...claim, renewedAt: '2' }, 9).since, 9);
  });
});
