/** What an API server says after its etcd was restored, compacted or emptied is not what it said before. */
import assert from 'node:assert/strict';
import { command } from '@tombolo/machine/command.ts';
import { TroubledControlPlane } from './control-plane.ts';
import { Programs } from './programs.ts';
import { openShop, SOON_MS, setBackends } from './shop.ts';

describe('the history of the Kubernetes API', () => {
  let kubernetes: TroubledControlPlane;
  let programs: Programs;

  before(async () => {
    kubernetes = await TroubledControlPlane.start({ name: 'kfhistory' });
    await openShop(kubernetes.api, ['10.1.0.1', '10.1.0.2']);
    programs = await Programs.start(await kubernetes.kubeconfig());
    await programs.have(['10.1.0.1', '10.1.0.2']);
  });
  after(async () => {
    await programs?.close();
    await kubernetes?.close();
  });
  beforeEach(() => programs.logged.splice(0));

  const rewinds = () => programs.said(/history .* went backwards/);

  it('goes on after a restart: what was changed before it is not asked for again', async () => {
    await kubernetes.restartApiserver();
    await setBackends(kubernetes.api, ['10.1.0.1']);
    await programs.have(['10.1.0.1'], SOON_MS);
    assert.deepEqual(rewinds(), []);
  });

  it('is found to have gone backwards when etcd is restored to an older copy: what it gave up is taken out', async () => {
    await setBackends(kubernetes.api, ['10.1.0.1', '10.1.0.2']);
    await kubernetes.backUpEtcd();
    await setBackends(kubernetes.api, ['10.1.0.2', '10.1.0.66']);
    await programs.have(['10.1.0.2', '10.1.0.66'], SOON_MS);
    programs.takePublished();
    const reached = await kubernetes.revision();
    await kubernetes.restoreEtcd();
    assert.ok((await kubernetes.revision()) < reached, 'it did not go backwards');

    await programs.have(['10.1.0.1', '10.1.0.2'], SOON_MS);
    assert.deepEqual(programs.takePublished(), [['10.1.0.1', '10.1.0.2']], 'in one step');
    assert.ok(rewinds().includes('/apis/discovery.k8s.io/v1/endpointslices'));
    // At revisions that the other history has used already.
    await setBackends(kubernetes.api, ['10.1.0.3']);
    await programs.have(['10.1.0.3'], SOON_MS);
    await programs.well();
  });

  it('is listed anew when it was compacted meanwhile', async () => {
    programs.takePublished();
    await kubernetes.apiserver.kill();
    const endpoint = `--endpoints=http://127.0.0.1:${kubernetes.controlPlane.plan.etcdPorts.client}`;
    const etcdctl = (...words: readonly string[]) =>
      command(['etcdctl', endpoint, ...words], { env: { ETCDCTL_API: '3' } });
    // Revisions that nobody but etcd has seen.
    for (let i = 0; i < 5; i++) await etcdctl('put', '/elsewhere', `${i}`);
    const { header } = JSON.parse(await etcdctl('get', '/elsewhere', '-w', 'json')) as {
      readonly header: { readonly revision: number };
    };
    await etcdctl('compact', `${header.revision}`);
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
