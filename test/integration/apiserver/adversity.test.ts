import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { TestCluster } from '../../cluster.ts';
import { populate, until, World } from './world.ts';

const CART = 'cilium/state/services/v1/east/shop/cart';
const CONFIG = 'cilium/cluster-config/east';
const IDENTITIES = 'cilium/state/identities/v1/id/';

/** What is not a time. */
async function facts(world: World): Promise<Map<string, string>> {
  const entries = await world.dump();
  return new Map([...entries].filter(([key]) => key !== 'cilium/.heartbeat' && !key.startsWith('cilium/synced/')));
}

describe('clustermesh-apiserver: adversity', () => {
  let cluster: TestCluster;
  let world: World;
  before(async () => {
    cluster = await TestCluster.start('tadversity');
  });
  after(() => cluster?.close());
  beforeEach(async () => {
    world = await World.create(cluster);
  });
  afterEach(() => world.close());

  it('repairs its cluster configuration when somebody changes or deletes it', async () => {
    await world.start();
    await world.ready();
    const good = (await world.dump(CONFIG)).get(CONFIG);
    const repaired = () => until('the repair', async () => (await world.dump(CONFIG)).get(CONFIG) === good);
    await world.etcdctl('put', CONFIG, '{"id":9}');
    await repaired();
    await world.etcdctl('del', CONFIG);
    await repaired();
  });

  it('removes what vanished while it was away, and nothing else', async () => {
    await populate(world);
    await world.service('shop', 'old', { 'service.cilium.io/global': 'true' });
    await world.pod('shop', 'old', '10.1.0.9', { app: 'old' });
    await world.start();
    await world.ready();
    const before = await facts(world);
    await world.stop();
    assert.deepEqual(await facts(world), before, 'a stop withdraws nothing');
    await world.request('DELETE', '/api/v1/namespaces/shop/services/old');
    await world.request('DELETE', '/api/v1/namespaces/shop/pods/old?gracePeriodSeconds=0');
    await world.etcdctl('put', 'cilium/state/services/v1/west/shop/cart', 'not ours');
    await world.start();
    await world.ready();
    const after = await facts(world);
    const gone = [...before.keys()].filter((key) => !after.has(key)).map((key) => key.replace(/\d{5,}$/, 'ID'));
    assert.deepEqual(gone.sort(), [
      `${IDENTITIES}ID`,
      'cilium/state/ip/v1/default/10.1.0.9',
      'cilium/state/services/v1/east/shop/old',
    ]);
    assert.equal(after.get('cilium/state/services/v1/west/shop/cart'), 'not ours');
    assert.equal(after.get(CART), before.get(CART));
  });

  it('keeps the identity numbers that it finds', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const [[key, labels] = []] = [...(await world.dump(IDENTITIES))];
    await world.stop();
    // Another number than a new start would choose.
    await world.etcdctl('del', key ?? '');
    await world.etcdctl('put', `${IDENTITIES}65999`, labels ?? '');
    await world.start();
    await world.ready();
    assert.deepEqual([...(await world.dump(IDENTITIES))], [[`${IDENTITIES}65999`, labels]]);
    const pod = (await world.dump('cilium/state/ip/v1/default/10.1.0.1')).values().next().value;
    assert.equal(JSON.parse(pod ?? '{}').ID, 65_999);
  });

  it('writes everything again when etcd was emptied, the canary of each kind last', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const before = await facts(world);
    await world.etcd.kill();
    await world.etcd.wipe();
    await world.etcd.run();
    await until('everything to be back', async () => (await world.dump()).size === before.size + 5).catch(
      async (cause: unknown) => {
        const state = { etcd: [...(await world.dump()).keys()], log: world.logged.slice(-30) };
        throw new Error(JSON.stringify(state, undefined, 1), { cause });
      },
    );
    assert.deepEqual(await facts(world), before);
    const { kvs } = JSON.parse(await world.etcdctl('get', '--prefix', 'cilium/', '-w', 'json'));
    const revisions = new Map<string, number>();
    for (const { key, mod_revision } of kvs) revisions.set(`${Buffer.from(key, 'base64')}`, mod_revision);
    for (const kind of ['nodes', 'services', 'ip', 'identities']) {
      const canary = revisions.get(`cilium/synced/east/cilium/state/${kind}/v1`) ?? 0;
      for (const [key, revision] of revisions) {
        if (key.startsWith(`cilium/state/${kind}/v1/`)) assert(revision < canary, `${key} after its canary`);
      }
    }
  });

  it('brings an etcd up to date that was put back to an older backup', async () => {
    await populate(world);
    await world.service('shop', 'gone', { 'service.cilium.io/global': 'true' });
    await world.start();
    await world.ready();
    await world.etcd.kill();
    await world.etcd.backUp();
    await world.etcd.run();
    await world.request('DELETE', '/api/v1/namespaces/shop/services/gone');
    await world.service('shop', 'new', { 'service.cilium.io/global': 'true' });
    const added = 'cilium/state/services/v1/east/shop/new';
    await until('the new Service', async () => (await facts(world)).has(added));
    const before = await facts(world);
    await world.etcd.kill();
    await world.etcd.restore();
    await world.etcd.run();
    await until('what was written since', async () => isDeepStrictEqual(await facts(world), before));
  });

  it('mends entries that somebody changed, deleted or added, before it announces them again', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const before = await facts(world);
    await world.etcdctl('put', CART, 'not ours');
    await world.etcdctl('put', 'cilium/state/services/v1/east/shop/alien', '{}');
    await world.etcdctl('del', '--prefix', 'cilium/state/ip/');
    const lease = (await world.etcdctl('get', '-w', 'json', CONFIG)).match(/"lease":(\d+)/)?.[1];
    await world.etcdctl('lease', 'revoke', BigInt(lease ?? 0).toString(16));
    await until('the mended entries', async () => isDeepStrictEqual(await facts(world), before));
  });

  it('starts without etcd, says so, and goes on when it comes', async () => {
    await populate(world);
    await world.etcd.kill();
    await world.start();
    await until('a word about etcd', () => world.logged.some(({ fields }) => fields['room'] === 'etcd'));
    const { status, text } = await world.http('/readyz');
    assert.equal(status, 503);
    assert.match(text, /Waiting for: .*services/);
    assert.equal((await world.http('/healthz')).status, 200);
    await world.etcd.run();
    await world.ready();
    assert((await facts(world)).has(CART));
  });

  it('starts without the Kubernetes API, says so, removes nothing, and goes on when it comes', async () => {
    await world.etcdctl('put', CART, 'from an earlier life');
    await cluster.killApi();
    await world.start();
    await until('a word about it', () =>
      world.logged.some(({ msg }) => msg.startsWith('Cannot follow the Kubernetes')),
    );
    assert.equal((await world.http('/readyz')).status, 503);
    assert.equal((await world.dump(CART)).get(CART), 'from an earlier life');
    await cluster.startApi();
    await world.ready();
    assert(!(await facts(world)).has(CART));
  });

  it('keeps everything while the Kubernetes API is away', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const before = await facts(world);
    const count = () => world.logged.filter(({ msg }) => msg.startsWith('Cannot follow the Kubernetes')).length;
    await cluster.killApi();
    await until('all five watches to notice', () => count() >= 5);
    assert.deepEqual(await facts(world), before);
  });

  it('reads an annotation that makes no sense as its default, and says so', async () => {
    await populate(world);
    await world.start();
    await world.ready();
    const before = (await world.dump(CART)).get(CART);
    const annotations = { 'clustermesh.cilium.io/global': 'perhaps' };
    await world.request('PATCH', '/api/v1/namespaces/shop', { metadata: { annotations } });
    await until('a warning', () => world.logged.some(({ fields }) => `${fields['warning']}`.includes('perhaps')));
    assert.equal((await world.dump(CART)).get(CART), before);
  });

  it('starts and stops twice in one process', async () => {
    for (let i = 0; i < 2; i++) {
      await world.start();
      await world.ready();
      await world.stop();
    }
  });
});

describe('clustermesh-apiserver: program', () => {
  let cluster: TestCluster;
  let world: World;
  before(async () => {
    cluster = await TestCluster.start('tprogram');
    world = await World.create(cluster);
  });
  after(async () => {
    await world?.close();
    await cluster?.close();
  });

  const program = (...args: readonly string[]) => {
    const child = spawn(process.execPath, ['packages/clustermesh-apiserver/src/main.ts', ...args]);
    let output = '';
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.stdout.on('data', (data) => {
      output += data;
    });
    const exited = once(child, 'exit').then(([code]) => code as number | null);
    return { child, exited, output: () => output };
  };

  it('ends cleanly on SIGTERM, and its entries stay', async () => {
    await populate(world);
    const { child, exited, output } = program(...world.flags);
    try {
      await until('all kinds', () => (output().match(/All entries of the kind are written/g) ?? []).length === 4);
      child.kill('SIGTERM');
      assert.equal(await exited, 0, output());
    } finally {
      child.kill('SIGKILL');
    }
    assert.match(output(), /"signal":"SIGTERM"/);
    assert((await facts(world)).has(CART));
  });

  it('ends cleanly on SIGTERM also while etcd is away', async () => {
    await world.etcd.kill();
    const { child, exited, output } = program(...world.flags, '--log-level=debug');
    try {
      const failures = () => (output().match(/listing of our own keys failed/g) ?? []).length;
      await until('prunes that wait for long', () => failures() >= 18);
      child.kill('SIGTERM');
      assert.equal(await exited, 0, output());
    } finally {
      child.kill('SIGKILL');
      await world.etcd.run();
    }
  });

  it('names everything that is wrong with its flags, and a bad kubeconfig', async () => {
    const wrong = program('--cluster-id=0', '--what');
    assert.equal(await wrong.exited, 2);
    assert.match(wrong.output(), /--cluster-name is required/);
    assert.match(wrong.output(), /unknown flag: --what/);
    const missing = program(...world.flags, '--kubeconfig=/no/such/file');
    assert.equal(await missing.exited, 1);
    assert.match(missing.output(), /Cannot use kubeconfig \/no\/such\/file: ENOENT/);
    const help = program('--help');
    assert.equal(await help.exited, 0);
    assert.match(help.output(), /--kvstore-lease-ttl/);
  });

  it('names the health port that is taken', async () => {
    await world.start();
    const { port } = cluster;
    const { exited, output } = program(...world.flags, `--health-port=${port}`);
    assert.equal(await exited, 1);
    assert.match(output(), new RegExp(`Cannot serve health on 127.0.0.1:${port}`));
  });
});
