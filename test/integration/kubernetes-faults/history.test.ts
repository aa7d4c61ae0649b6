/** What an API server says after its etcd was restored, compacted or emptied is not what it said before. */
import assert from 'node:assert/strict';
import { TroubledControlPlane } from './control-plane.ts';
import { Programs } from './programs.ts';
import { openShop, SOON_MS, setBackends } from './shop.ts';

describe('the history of the Kubernetes API', () => {
  let kubernetes: TroubledControlPlane;
  let programs: Programs;

  before(async () => {
    kubernetes = await TroubledControlPlane.start({ name: 'kfhistory' });
    await openShop(kubernetes.api, []);
    programs = await Programs.start(await kubernetes.kubeconfig());
  });
  after(async () => {
    await programs?.close();
    await kubernetes?.close();
  });

  const rewinds = () => programs.said(/history .* went backwards/);

  for (const [what, before, after] of [
    ['that has not come as far as before', 500, 1],
    ['that has come further than before', 1, 500],
  ] as const) {
    it(`is found to be another one, ${what}, when etcd is restored to an older copy: what it gave up is taken out`, async () => {
      await setBackends(kubernetes.api, ['10.1.0.1', '10.1.0.2']);
      await programs.have(['10.1.0.1', '10.1.0.2'], SOON_MS);
      await kubernetes.backUpEtcd();
      await setBackends(kubernetes.api, ['10.1.0.2', '10.1.0.66']);
      await programs.have(['10.1.0.2', '10.1.0.66'], SOON_MS);
      await kubernetes.spendRevisions(before);
      // Only what is told of a revision makes us come that far.
      await setBackends(kubernetes.api, ['10.1.0.2', '10.1.0.77']);
      await programs.have(['10.1.0.2', '10.1.0.77'], SOON_MS);
      programs.takePublished();
      programs.logged.splice(0);
      const reached = await kubernetes.revision();
      await kubernetes.restoreEtcd(after);
      assert.equal((await kubernetes.revision()) < reached, before > after);

      await programs.have(['10.1.0.1', '10.1.0.2'], SOON_MS);
      assert.deepEqual(programs.takePublished(), [['10.1.0.1', '10.1.0.2']], 'in one step');
      assert.ok(rewinds().includes('/apis/discovery.k8s.io/v1/endpointslices'));
      await setBackends(kubernetes.api, ['10.1.0.3']);
      await programs.have(['10.1.0.3'], SOON_MS);
      await programs.well(SOON_MS);
    });
  }

  it('is listed anew when it was compacted meanwhile', async () => {
    programs.takePublished();
    await kubernetes.apiserver.kill();
    await kubernetes.compactEtcd(await kubernetes.spendRevisions(5));
    await kubernetes.restartApiserver();
    await programs.well(SOON_MS);
    assert.deepEqual(programs.takePublished(), []);
    await setBackends(kubernetes.api, ['10.1.0.4']);
    await programs.have(['10.1.0.4'], SOON_MS);
  });

  it('is believed when it begins anew and says that there is nothing', async () => {
    await kubernetes.emptyEtcd();
    // We are not allowed anything: nobody has been given a role in this new cluster.
    await programs.complain(/403/, SOON_MS);
    assert.deepEqual(programs.used(), ['10.1.0.4'], 'unknown is not empty');
    await kubernetes.grant();
    await programs.well(SOON_MS);
    assert.deepEqual(programs.used(), []);
    assert.equal(await programs.exported(), undefined);
  });
});
