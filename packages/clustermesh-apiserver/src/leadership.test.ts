import assert from 'node:assert/strict';
import type { Fence, FenceView } from '@tombolo/shared/etcd/write/fence.ts';
import { ApiError, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import { Leadership, mayTake } from './leadership.ts';

describe('mayTake()', () => {
  for (const [holder, leader, standby, unknown] of [
    ['us', false, false, false],
    ['nobody', true, false, true],
    ['predecessor', true, false, true],
    ['another', true, false, false],
  ] as const) {
    it(`of ${holder}: leader ${leader}, standby ${standby}, unknown ${unknown}`, () => {
      assert.deepEqual(
        [mayTake(holder, 'leader'), mayTake(holder, 'standby'), mayTake(holder, undefined)],
        [leader, standby, unknown],
      );
    });
  }
});

describe('Leadership', () => {
  let clock: FakeClock;
  let stop: AbortController;
  let did: string[];
  let holder: FenceView['holder'];
  let problem: Error | undefined;
  let clusterId: string;
  let health: Health[];
  let running: Promise<void>;

  beforeEach(async () => {
    clock = new FakeClock();
    stop = new AbortController();
    [did, health, holder, problem, clusterId] = [[], [], 'another', undefined, '255'];
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  /** A Lease that whoever asks gets, and a fence that the test gives. */
  function start(): void {
    const fence = {
      look: async (): Promise<FenceView> => {
        did.push('look');
        return { clusterId, holder, revision: '1' };
      },
      take: async () => {
        did.push('take');
        holder = 'us';
      },
      release: async () => void did.push('release'),
    } as unknown as Fence;
    const client = {
      get: async () => {
        if (problem) throw problem;
        throw new ApiError(404, 'none');
      },
      send: async (_: string, __: string, { metadata }: { metadata: { name: string } }) =>
        void did.push(`elected for ${metadata.name}`),
    } as unknown as KubernetesClient;
    running = new Leadership({
      ...{ fence, client, clock, namespace: 'mesh', instance: 'one', log: silentLogger },
      report: (state) => void health.push(state),
      writes: (who) => void did.push(`writes: ${who}`),
    }).run(stop.signal);
  }

  it('looks at the fence before it asks to be elected, takes it after, and leaves it at the end', async () => {
    start();
    await clock.advance(0);
    assert.deepEqual(did.splice(0, 3), ['look', 'elected for tombolo-exporter-ff', 'take']);
    await clock.advance(2_000);
    stop.abort();
    await running;
    assert.equal(did.at(-1), 'release');
    assert(!did.includes('take'), 'once is enough');
  });

  it('is elected for each etcd anew', async () => {
    start();
    await clock.advance(0);
    clusterId = '256';
    await clock.advance(2_000);
    assert(did.includes('elected for tombolo-exporter-100'));
  });

  for (const [what, error] of [
    ['does not answer', new Error('connect ECONNREFUSED')],
    ['forbids it', new ApiError(403, 'leases is forbidden')],
  ] as const) {
    it(`takes no fence from another while Kubernetes ${what}, says so, and goes on with one that nobody holds`, async () => {
      problem = error;
      start();
      await clock.advance(0);
      assert.deepEqual(did, ['look', 'writes: another']);
      const [said] = health;
      assert(said?.kind === 'degraded' && said.reason.includes(error.message), JSON.stringify(said));
      holder = 'nobody';
      await clock.advance(2_000);
      assert(did.includes('take'));
    });
  }
});
