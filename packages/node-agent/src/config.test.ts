import assert from 'node:assert/strict';
import { cidr } from '@tombolo/shared/model/ip.ts';
import { parseCommand } from './config.ts';

const NEEDED = ['--cluster-name=east', '--cluster-id=1', '--node-name=n1'];

describe('parseCommand()', () => {
  it('has defaults', () => {
    assert.deepEqual(parseCommand(NEEDED, {}), {
      ok: true,
      value: {
        kind: 'run',
        config: {
          cluster: { name: 'east', id: 1 },
          maxClusters: 255,
          nodeName: 'n1',
          kubeconfig: undefined,
          clustermeshDirectory: undefined,
          datapath: 'auto',
          scope: 'global',
          nodePortAddresses: 'all',
          defaultGlobalNamespace: true,
          remotePerFrontend: 16_384,
          remotePerCluster: 65_536,
          cgroupRoot: undefined,
          bpfDirectory: '/sys/fs/bpf/tombolo',
          mapSizes: {},
          socketClients: 'all',
          packets: 'auto',
          apiServer: undefined,
          closeConnections: true,
          netnsDirectory: '/run/netns',
          metallbNamespace: 'metallb-system',
          speakerKeyFile: undefined,
          speakerPort: 7950,
          bgpEngineDirectory: '/var/run/frr',
          bgpDrainMs: 10_000,
          stateFile: '/run/tombolo/agent.state',
          apiAddress: 'unix:///run/tombolo/agent.sock',
          healthHost: '127.0.0.1',
          healthPort: 9879,
          proxyHealthPort: 10256,
          proxyStatusPort: 10249,
          logLevel: 'info',
        },
      },
    });
  });

  it('reports all problems at once', () => {
    const args = [
      '--cluster-name=default',
      '--cluster-id=1',
      '--datapath=ipvs',
      '--services=some',
      '--nodeport-addresses=10.0.0.0/8,eth0',
      '--bpf-map-sizes=services=5,slot=1',
      '--api=agent.sock',
      '--health-port=x',
      '--remote-backends-per-frontend=32768',
      '--nonsense=1',
    ];
    const parsed = parseCommand(args, { TOMBOLO_LOG_LEVEL: 'loud' });
    assert(parsed !== 'help' && !parsed.ok);
    assert.deepEqual(parsed.error.split('\n'), [
      'unknown flag: --nonsense',
      "cluster name must not be 'default' in a mesh",
      '--node-name is required',
      '--datapath must be auto or ebpf or nftables: current value is "ipvs"',
      '--services must be global or all: current value is "some"',
      '--nodeport-addresses: expected all, primary or prefixes: current value is "eth0": expected a prefix such as 10.1.0.0/16: current value is "eth0"',
      '--remote-backends-per-frontend must be 1-32767: current value is "32768"',
      '--bpf-map-sizes: expected services, slots, backends, affinity_ok, affinity, flows, each with = and 1-16777216: current value is "slot=1"',
      '--api: expected unix:///path or host:port: current value is "agent.sock"',
      '--health-port must be 0-65535: current value is "x"',
      '--log-level must be info or debug or warn or error: current value is "loud"',
    ]);
  });

  for (const address of ['127.0.0.1:50051', '[::1]:50051', 'localhost:0', '/run/a.sock'])
    it(`serves the API on ${address}`, () => {
      const parsed = parseCommand([...NEEDED, `--api=${address}`], {});
      assert(parsed !== 'help' && parsed.ok && parsed.value.kind === 'run');
      assert.equal(parsed.value.config.apiAddress, address);
    });

  for (const address of ['0.0.0.0:50051', '[::]:50051', '10.0.0.1:50051', 'node-1:50051', '127.0.0.1.example:50051'])
    it(`serves the API on ${address} only if it is told that this is without TLS`, () => {
      const parsed = parseCommand([...NEEDED, `--api=${address}`], {});
      assert(parsed !== 'help' && !parsed.ok);
      assert.match(parsed.error, /^--api: expected .*loopback.*--api-without-tls true.*: current value is /);
      const told = parseCommand([...NEEDED, `--api=${address}`, '--api-without-tls=true'], {});
      assert(told !== 'help' && told.ok && told.value.kind === 'run');
      assert.equal(told.value.config.apiAddress, address);
    });

  it('takes out what is left with no more than the bpffs directory', () => {
    assert.deepEqual(parseCommand(['uninstall', '--bpf-dir=/b'], {}), {
      ok: true,
      value: {
        ...{ kind: 'uninstall', bpfDirectory: '/b', logLevel: 'info' },
        ...{ bgpEngineDirectory: '/var/run/frr', bgpDrainMs: 10_000 },
      },
    });
  });

  it('takes the sizes of maps', () => {
    const parsed = parseCommand([...NEEDED, '--bpf-map-sizes=services=10,affinity=70000'], {});
    assert(parsed !== 'help' && parsed.ok && parsed.value.kind === 'run');
    assert.deepEqual(parsed.value.config.mapSizes, { services: 10, affinity: 70_000 });
    for (const wrong of ['services', 'services=0', 'services=1e3', 'services=16777217', 'services=1;slots=2']) {
      const refused = parseCommand([...NEEDED, `--bpf-map-sizes=${wrong}`], {});
      assert.ok(refused !== 'help' && !refused.ok, wrong);
    }
  });

  it('keeps the state beside the socket, or where it is told to', () => {
    const stateFile = (...flags: readonly string[]) => {
      const parsed = parseCommand([...NEEDED, ...flags], {});
      return parsed !== 'help' && parsed.ok && parsed.value.kind === 'run' ? parsed.value.config.stateFile : undefined;
    };
    assert.equal(stateFile('--api=unix:///run/a/b.sock'), '/run/a/b.state');
    assert.equal(stateFile('--api=127.0.0.1:9000'), '/run/tombolo/agent.state');
    assert.equal(stateFile('--api=127.0.0.1:9000', '--state-file=/x'), '/x');
  });

  it('answers NodePorts where it is told to', () => {
    const where = (value: string) => {
      const parsed = parseCommand([...NEEDED, `--nodeport-addresses=${value}`], {});
      return parsed !== 'help' && parsed.ok && parsed.value.kind === 'run' && parsed.value.config.nodePortAddresses;
    };
    assert.equal(where('primary'), 'primary');
    assert.deepEqual(where('10.0.0.0/8,fd00::/8'), [cidr('10.0.0.0/8'), cidr('fd00::/8')]);
  });

  it('answers help', () => assert.equal(parseCommand(['-h'], {}), 'help'));
});
