/** The programs of the image, each run in it with the least that it needs. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { tryCommand } from '@tombolo/machine/command.ts';
import { type Container, type ContainerOptions, type Mount, startContainer } from './container.ts';
import { buildImage, type Image, MACHINE_ARCH, ROOM, VERSION } from './image.ts';
import { sweepAbandoned } from './sweep.ts';

/** Nobody listens there. */
const KUBECONFIG = `
apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "http://127.0.0.1:1" } }]
contexts: [{ name: c, context: { cluster: c, user: u } }]
users: [{ name: u, user: {} }]
current-context: c
`;
const CLUSTER = ['--cluster-name=east', '--cluster-id=1', '--kubeconfig=/config/kubeconfig'];

describe('the programs of the image', function () {
  this.timeout(900_000);
  let image: Image;
  let configuration: Mount;
  const started: Container[] = [];

  before(async function () {
    if ((await tryCommand(['sh', '-c', 'command -v runc'])).code !== 0) {
      console.log('      skipped: runc is not installed (Debian: apt-get install runc)');
      this.skip();
    }
    await sweepAbandoned();
    image = await buildImage();
    if (image.arch !== MACHINE_ARCH) this.skip();
    const directory = join(image.room, 'config');
    await mkdir(directory);
    await writeFile(join(directory, 'kubeconfig'), KUBECONFIG);
    // What mkdtemp made is for us alone, but the image's user shall get through.
    await Promise.all([chmod(image.room, 0o755), chmod(directory, 0o755)]);
    configuration = { destination: '/config', type: 'bind', source: directory, options: ['bind', 'ro'] };
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((container) => container.remove()));
  });
  after(() => image?.remove());

  async function start(argv: readonly string[], options: ContainerOptions = {}): Promise<Container> {
    const container = await startContainer(image, argv, options);
    started.push(container);
    return container;
  }

  for (const { argv, says } of [
    { argv: ['node-agent', '--help'], says: 'Usage: node-agent' },
    { argv: ['clustermesh-apiserver', '--help'], says: 'Usage: clustermesh-apiserver' },
    { argv: ['tombolo', '--version'], says: VERSION },
    { argv: ['node', '--print', 'process.getuid()'], says: '65532' },
    { argv: ['etcd', '--version'], says: 'etcd Version: 3.4' },
    { argv: ['etcdctl', 'version'], says: 'API version: 3.4' },
  ]) {
    it(`${argv.join(' ')} runs as nobody in particular, on a root that cannot be written`, async () => {
      const container = await start(argv);
      assert.equal(await container.end(), 0, container.said);
      assert.ok(container.said.includes(says), container.said);
    });
  }

  it('etcd serves as the same user when it has a place for its data, and etcdctl asks it', async () => {
    const data = { destination: '/var/lib/etcd', type: 'tmpfs', source: 'tmpfs', options: ['uid=65532', 'mode=700'] };
    const container = await start(['etcd', '--data-dir=/var/lib/etcd'], { mounts: [data] });
    await container.untilSaid('ready to serve client requests');
    assert.equal((await container.exec(['etcdctl', 'put', 'a', 'b'])).stdout, 'OK\n');
    assert.equal((await container.exec(['etcdctl', 'get', 'a', '--print-value-only'])).stdout, 'b\n');
    await container.end('SIGTERM');
  });

  it('clustermesh-apiserver runs as the same user, is alive, and ends on SIGTERM as the first process', async () => {
    const argv = ['clustermesh-apiserver', ...CLUSTER, '--etcd-endpoints=http://127.0.0.1:2379'];
    const container = await start(argv, { mounts: [configuration] });
    await container.untilSaid('clustermesh-apiserver runs');
    const ask = "fetch('http://127.0.0.1:9880/healthz').then(({ status }) => console.log(status))";
    assert.equal((await container.exec(['node', '--eval', ask])).stdout, '200\n');
    assert.equal(await container.end('SIGTERM'), 0, container.said);
  });

  describe('node-agent', () => {
    let cgroup: string;

    before(async () => {
      cgroup = join(await cgroup2Mount(), `${ROOM}${process.pid}`);
      await mkdir(cgroup);
    });
    after(() => rmdir(cgroup));

    for (const { datapath, capabilities } of [
      { datapath: 'ebpf', capabilities: ['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON'] },
      { datapath: 'nftables', capabilities: ['CAP_NET_ADMIN'] },
    ]) {
      it(`opens the ${datapath} datapath with ${capabilities.join(', ')}, answers tombolo, and ends on SIGTERM`, async () => {
        const mounts: readonly Mount[] = [
          configuration,
          { destination: '/sys/fs/bpf', type: 'bpf', source: 'bpf', options: ['nosuid', 'nodev', 'noexec'] },
          { destination: '/host/cgroup', type: 'bind', source: cgroup, options: ['bind'] },
          { destination: '/run/tombolo', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] },
        ];
        const argv = [
          'node-agent',
          ...CLUSTER,
          '--node-name=n',
          '--cgroup-root=/host/cgroup',
          `--datapath=${datapath}`,
        ];
        const container = await start(argv, { capabilities, mounts });
        await container.untilSaid('Agent started');
        assert.match(container.said, new RegExp(`"${datapath}`));
        const status = await container.exec(['tombolo', 'status']);
        assert.match(status.stdout, new RegExp(datapath, 'i'), status.stderr);
        assert.equal(await container.end('SIGTERM'), 0, container.said);
        assert.doesNotMatch(container.said, /"level":"error"/);
      });
    }
  });
});
