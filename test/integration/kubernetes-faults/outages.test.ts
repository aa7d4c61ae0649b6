/** An API server that restarts, hangs, loses its etcd or is upgraded: the table stays, status tells, and all goes on. */
import assert from 'node:assert/strict';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { TroubledControlPlane } from './control-plane.ts';
import { FOLLOWERS, Programs } from './programs.ts';
import { openShop, SOON_MS, setBackends } from './shop.ts';

const BEFORE = ['10.1.0.1', '10.1.0.2'];
const AFTER = ['10.1.0.2', '10.1.0.3'];
/** What an error looks like when nobody listens, or when somebody did when the connection was made. */
const UNREACHABLE = /ECONNREFUSED|ECONNRESET|socket hang up|aborted/;

interface Outage {
  readonly what: string;
  begin(kubernetes: TroubledControlPlane): Promise<void>;
  /** What status says meanwhile; absent where nothing can be noticed yet. */
  readonly complaint?: RegExp;
  end(kubernetes: TroubledControlPlane): Promise<void>;
}

const OUTAGES: readonly Outage[] = [
  {
    what: 'is killed and comes back',
    begin: ({ apiserver }) => apiserver.kill(),
    complaint: UNREACHABLE,
    end: (kubernetes) => kubernetes.restartApiserver(),
  },
  {
    what: 'stands still for a while',
    begin: async ({ apiserver }) => apiserver.signal('SIGSTOP'),
    end: async (kubernetes) => {
      kubernetes.apiserver.signal('SIGCONT');
      await kubernetes.ready();
    },
  },
];

describe('an API server', () => {
  let kubernetes: TroubledControlPlane;
  let programs: Programs;

  before(async () => {
    kubernetes = await TroubledControlPlane.start({ name: 'kfoutages' });
    await openShop(kubernetes.api, BEFORE);
    programs = await Programs.start(await kubernetes.kubeconfig());
  });
  after(async () => {
    await programs?.close();
    await kubernetes?.close();
  });
  beforeEach(async () => {
    await setBackends(kubernetes.api, BEFORE);
    await programs.have(BEFORE);
    await programs.well();
    programs.takePublished();
    programs.logged.splice(0);
  });

  for (const { what, begin, complaint, end } of OUTAGES) {
    it(`that ${what} takes nothing away, and is followed again soon`, async () => {
      await begin(kubernetes);
      if (complaint) await programs.complain(complaint);
      assert.deepEqual(programs.takePublished(), []);
      assert.deepEqual(await programs.exported(), BEFORE);
      await end(kubernetes);
      await setBackends(kubernetes.api, AFTER);
      await programs.have(AFTER, SOON_MS);
      assert.deepEqual(programs.takePublished(), [AFTER]);
      await programs.well(SOON_MS);
      assert.deepEqual(programs.said(/history/), []);
      // Each follower says at most once that it fails, and that it does no longer.
      for (const msg of [/^Cannot follow/, /answers again/]) {
        const said = programs.said(msg, ['warn', 'info']);
        assert.ok(said.length <= FOLLOWERS, `${said}`);
        if (complaint) assert.ok(said.length > 0);
      }
    });
  }

  it('that keeps its watches open while its etcd is away is not complained of, and is followed on', async () => {
    await kubernetes.controlPlane.etcd.kill();
    await waitUntil('the API server to notice', async () =>
      kubernetes.api.getText('/readyz').then(
        () => false,
        () => true,
      ),
    );
    assert.deepEqual(programs.complaints(), {});
    await kubernetes.controlPlane.etcd.start();
    await kubernetes.ready();
    await setBackends(kubernetes.api, AFTER);
    await programs.have(AFTER, SOON_MS);
    assert.deepEqual(programs.takePublished(), [AFTER]);
  });
});

describe('an API server that is upgraded from 1.34 to 1.37', () => {
  let kubernetes: TroubledControlPlane;
  let programs: Programs;

  before(async function () {
    const old = await kubernetesBinaries('1.34').catch((error: Error) => error);
    if (old instanceof Error) {
      console.log(`      skipped: ${old.message}`);
      return this.skip();
    }
    kubernetes = await TroubledControlPlane.start({ name: 'kfupgrade', version: '1.34' });
    await openShop(kubernetes.api, BEFORE);
    programs = await Programs.start(await kubernetes.kubeconfig());
    await programs.have(BEFORE);
    programs.takePublished();
  });
  after(async () => {
    await programs?.close();
    await kubernetes?.close();
  });

  const version = async () => {
    const { gitVersion } = JSON.parse(await kubernetes.api.getText('/version')) as { readonly gitVersion: string };
    return gitVersion;
  };

  it('loses nothing and is followed on, there and back', async () => {
    assert.match(await version(), /^v1\.34\./);
    const old = kubernetes.apiserver.spec.argv;
    const { kubeApiserver } = await kubernetesBinaries('1.37');
    await kubernetes.restartApiserver(([, ...flags]) => [kubeApiserver, ...flags]);
    assert.match(await version(), /^v1\.37\./);
    await setBackends(kubernetes.api, AFTER);
    await programs.have(AFTER, SOON_MS);
    await kubernetes.restartApiserver(() => old);
    assert.match(await version(), /^v1\.34\./);
    await setBackends(kubernetes.api, BEFORE);
    await programs.have(BEFORE, SOON_MS);
    assert.deepEqual(programs.takePublished(), [AFTER, BEFORE]);
  });
});
