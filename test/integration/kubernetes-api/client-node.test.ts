/** The informers of `@kubernetes/client-node` against the development API server: list, watch, 410 and listing again. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { CoreV1Api, KubeConfig, makeInformer, Watch } from '@kubernetes/client-node';
import { type KubernetesApi, startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';

describe('informers of @kubernetes/client-node on the development API server', () => {
  let api: KubernetesApi;
  let config: KubeConfig;

  beforeEach(async () => {
    api = await startKubernetesApi({ listen: { port: 0 } });
    config = new KubeConfig();
    config.loadFromClusterAndUser({ name: 'dev', server: api.url, skipTLSVerify: true }, { name: 'nobody' });
  });
  afterEach(() => api.close());

  const create = (name: string) =>
    api.operations.createObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } });

  it('list, follow, and list again after 410 Gone, with nothing lost', async () => {
    const core = config.makeApiClient(CoreV1Api);
    const heard = new EventEmitter();
    const keys = new Set<string>();
    let lists = 0;
    const informer = makeInformer(config, '/api/v1/namespaces/default/configmaps', () => {
      lists++;
      return core.listNamespacedConfigMap({ namespace: 'default' });
    });
    informer.on('add', ({ metadata }) => {
      keys.add(metadata?.name ?? '');
      heard.emit('change');
    });
    informer.on('delete', ({ metadata }) => {
      keys.delete(metadata?.name ?? '');
      heard.emit('change');
    });
    const until = async (...names: string[]) => {
      while (names.sort().join() !== [...keys].sort().join()) await once(heard, 'change');
    };
    const first = create('a');
    await informer.start();
    await until('a');
    create('b');
    await until('a', 'b');
    assert.equal(lists, 1);
    await informer.stop();
    // Meanwhile the world goes on, and the server forgets how.
    create('c');
    api.operations.deleteObject(first);
    api.store.compact();
    await informer.start();
    await until('b', 'c');
    assert.equal(lists, 2, 'the watch from the old revision was refused, and a list made good for it');
    create('d');
    await until('b', 'c', 'd');
    await informer.stop();
  });

  it('a Watch from a compacted revision is told 410', async () => {
    const { metadata } = create('a');
    create('b');
    api.store.compact();
    const watch = new Watch(config);
    const told = new Promise<{ code?: number }>((resolve, reject) => {
      watch
        .watch(
          '/api/v1/configmaps',
          { resourceVersion: metadata.resourceVersion },
          (_type, object: { code?: number }) => resolve(object),
          () => {},
        )
        .catch(reject);
    });
    assert.equal((await told).code, 410);
  });

  it('create, patch, status and delete by its typed client', async () => {
    const core = config.makeApiClient(CoreV1Api);
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    const made = await core.createNamespacedService({
      namespace: 'default',
      body: { metadata: { name: 'web' }, spec: { ports } },
    });
    assert.match(made.spec?.clusterIP ?? '', /^10\.96\./);
    const status = { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } };
    const written = await core.replaceNamespacedServiceStatus({
      namespace: 'default',
      name: 'web',
      body: { ...made, status },
    });
    assert.deepEqual(written.status?.loadBalancer?.ingress?.[0]?.ip, '192.0.2.7');
    await assert.rejects(
      core.createNamespacedService({ namespace: 'default', body: { metadata: { name: 'web' }, spec: { ports } } }),
      { code: 409 },
    );
    await core.deleteNamespacedService({ namespace: 'default', name: 'web' });
    await assert.rejects(core.readNamespacedService({ namespace: 'default', name: 'web' }), { code: 404 });
  });
});
