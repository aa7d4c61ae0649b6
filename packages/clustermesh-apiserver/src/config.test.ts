import assert from 'node:assert/strict';
import { parseApiserverConfig } from './config.ts';
import { parseDuration } from './duration.ts';

const NEEDED = ['--cluster-name', 'east', '--cluster-id', '1', '--etcd-endpoints', 'http://127.0.0.1:2379'];

function parsed(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const config = parseApiserverConfig(args, env);
  assert(config !== 'help' && config.ok, JSON.stringify(config));
  return config.value;
}

function problems(args: readonly string[], env: Readonly<Record<string, string>> = {}): readonly string[] {
  const config = parseApiserverConfig(args, env);
  assert(config !== 'help' && !config.ok);
  return config.error.split('\n');
}

describe('parseApiserverConfig()', () => {
  it('has defaults', () => {
    assert.deepEqual(parsed(NEEDED), {
      cluster: { name: 'east', id: 1 },
      maxClusters: 255,
      kubeconfig: undefined,
      etcd: {
        endpoints: ['http://127.0.0.1:2379'],
        ca: undefined,
        cert: undefined,
        key: undefined,
        remoteUser: undefined,
      },
      healthHost: '127.0.0.1',
      healthPort: 9880,
      defaultGlobalNamespace: true,
      leaseTtlSeconds: 900,
      instance: undefined,
      leaseNamespace: 'kube-system',
      loadBalancerAddresses: true,
      metallbNamespace: 'metallb-system',
      logLevel: 'info',
    });
  });

  it('takes every flag', () => {
    const args =
      '--cluster-name=west --cluster-id=300 --max-connected-clusters=511 --kubeconfig=/k --etcd-endpoints=https://a:1,https://b:2 ' +
      '--etcd-ca=/ca --etcd-cert=/cert --etcd-key=/key --etcd-remote-user=remote --health-host=:: --health-port=0 --default-global-namespace=false ' +
      '--kvstore-lease-ttl=1h30m --instance=one --lease-namespace=mesh --log-level=debug';
    assert.deepEqual(parsed(args.split(' ')), {
      cluster: { name: 'west', id: 300 },
      maxClusters: 511,
      kubeconfig: '/k',
      etcd: { endpoints: ['https://a:1', 'https://b:2'], ca: '/ca', cert: '/cert', key: '/key', remoteUser: 'remote' },
      healthHost: '::',
      healthPort: 0,
      defaultGlobalNamespace: false,
      leaseTtlSeconds: 5400,
      instance: 'one',
      leaseNamespace: 'mesh',
      loadBalancerAddresses: true,
      metallbNamespace: 'metallb-system',
      logLevel: 'debug',
    });
  });

  it('takes the environment where no flag is given, and nothing for an empty variable', () => {
    const env = { TOMBOLO_CLUSTER_ID: '7', TOMBOLO_HEALTH_PORT: '', TOMBOLO_DEFAULT_GLOBAL_NAMESPACE: 'False' };
    const config = parsed(['--cluster-name=east', '--etcd-endpoints=http://e'], env);
    assert.deepEqual([config.cluster.id, config.healthPort, config.defaultGlobalNamespace], [7, 9880, false]);
    assert.equal(parsed([...NEEDED], env).cluster.id, 1);
  });

  it('takes a switch without a value as true', () => {
    const env = { TOMBOLO_DEFAULT_GLOBAL_NAMESPACE: 'false' };
    assert.equal(parsed([...NEEDED, '--default-global-namespace'], env).defaultGlobalNamespace, true);
  });

  it('answers help', () => assert.equal(parseApiserverConfig(['--nonsense', '--help'], {}), 'help'));

  it('reports all problems at once', () => {
    assert.deepEqual(
      problems(
        '--cluster-name=East --cluster-id=0 --max-connected-clusters=99 --etcd-endpoints=e:1 --etcd-cert=/c --health-port=99999 --default-global-namespace=maybe --kvstore-lease-ttl=5s --log-level=loud --what=1 extra'.split(
          ' ',
        ),
      ),
      [
        'unknown flag: --what',
        'unexpected argument: extra',
        '--max-connected-clusters must be 255 or 511: current value is "99"',
        `cluster name must be 1-32 lower-case letters, digits or '-', not at the ends: current value is "East"`,
        '--etcd-endpoints must be URLs such as https://host:2379, without a user: one is not',
        '--etcd-cert and --etcd-key must be given together: only one of them is',
        '--health-port must be 0-65535: current value is "99999"',
        '--default-global-namespace must be true or false: current value is "maybe"',
        '--kvstore-lease-ttl must be 25s-24h, for example 15m: current value is "5s"',
        '--log-level must be info or debug or warn or error: current value is "loud"',
      ],
    );
    assert.deepEqual(problems([]), [
      '--cluster-name is required',
      '--cluster-id is required',
      '--etcd-endpoints is required',
    ]);
    assert.match(problems([...NEEDED, '--cluster-id=x'])[0] ?? '', /cluster id must be 1-255: current value is "x"/);
    assert.match(problems([...NEEDED, '--cluster-id=300'])[0] ?? '', /cluster id must be 1-255: current value is 300/);
    assert.match(
      problems([...NEEDED, '--etcd-remote-user=root']).join(),
      /--etcd-remote-user needs --etcd-cert.*--etcd-remote-user must not be root/,
    );
    assert.match(problems([...NEEDED, '--kubeconfig'])[0] ?? '', /--kubeconfig needs a value/);
  });
});

describe('parseDuration()', () => {
  for (const [text, seconds] of [
    ['15m', 900],
    ['1h30m5s', 5405],
    ['25s', 25],
    ['', undefined],
    ['15', undefined],
    ['1d', undefined],
    ['-5s', undefined],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${seconds}`, () => assert.equal(parseDuration(text), seconds));
  }
});
