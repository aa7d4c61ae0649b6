import assert from 'node:assert/strict';
import { faultOfRoute } from '@tombolo/node-agent/datapath/route-checks.ts';
import { listServices, parseCases, routesOf, targetAddress } from './connect-cases.ts';
import { lastCpu, SERVER_PORT, SERVERS } from './connect-lab.ts';
import { kubeProxyRules } from './kube-proxy-rules.ts';
import { parseCommandLine } from './options.ts';

describe('parseCases()', () => {
  it('takes all twelve when none is named', () => {
    assert.equal(parseCases([]).length, 16);
    assert.equal(parseCases([])[3]?.name, 'ebpf/50000');
  });

  it('takes those that are named', () => {
    assert.deepEqual(parseCases(['nftables/7']), [{ name: 'nftables/7', contestant: 'nftables', services: 7 }]);
  });

  for (const wrong of ['ipvs/1', 'ebpf', 'ebpf/0', 'ebpf/50001', 'ebpf/x']) {
    it(`refuses ${wrong}`, () => {
      assert.throws(() => parseCases([wrong]), /expected ebpf, packets, nftables or iptables/);
    });
  }
});

describe('listServices()', () => {
  for (const size of [1, 1000, 50_000]) {
    it(`puts servers behind one of ${size} services only, and makes routes that a datapath takes`, () => {
      const services = listServices(size);
      const real = services.filter(({ backends }) => backends.some(({ address }) => address === SERVERS[0]));
      assert.deepEqual(
        real.map(({ frontend }) => `${frontend.address}:${frontend.port}`),
        [targetAddress(size)],
      );
      const routes = routesOf(services);
      assert.deepEqual(new Set([...routes.values()].map((route) => faultOfRoute(route))), new Set([undefined]));
      assert.equal(routes.size, size);
    });
  }
});

describe('kubeProxyRules()', () => {
  const lines = (size: number): string[] => kubeProxyRules(listServices(size), '10.1.0.0/24').split('\n');

  it('leads from the list of Services by chance to one endpoint', () => {
    const text = lines(2);
    const [address = ''] = targetAddress(2).split(':');
    const jump = text.find((line) => line.startsWith('-A KUBE-SERVICES') && line.includes(`-d ${address}/32`)) ?? '';
    const service = jump.split(' ').at(-1);
    const choices = text.filter((line) => line.startsWith(`-A ${service} `) && line.includes('-j KUBE-SEP-'));
    assert.deepEqual(
      choices.map((line) => /--probability (\S+)/.exec(line)?.[1]),
      ['0.3333333333', '0.5000000000', undefined],
    );
    choices.forEach((choice, i) => {
      const rule =
        text.find((line) => line.startsWith(`-A ${choice.split(' ').at(-1)} `) && line.includes('DNAT')) ?? '';
      assert.ok(rule.endsWith(`--to-destination ${SERVERS[i]}:${SERVER_PORT}`), rule);
    });
  });

  it('declares every chain that it names, each once', () => {
    const text = lines(50);
    const declared = text
      .slice(0, text.indexOf('COMMIT'))
      .filter((line) => line.startsWith(':'))
      .map((line) => line.slice(1).split(' ')[0]);
    assert.equal(new Set(declared).size, declared.length);
    for (const target of text.join('\n').matchAll(/-j (KUBE-(?:SVC|SEP)-\S+)/g))
      assert.ok(declared.includes(target[1]));
  });

  it('leaves comments out of large lists, as kube-proxy does', () => {
    const comments = (size: number): number => lines(size).filter((line) => line.includes('cluster IP')).length;
    assert.deepEqual([comments(333), comments(334)], [666, 0]);
  });
});

describe('parseCommandLine()', () => {
  const parse = (...argv: string[]) => parseCommandLine(argv, ['connect']);

  it('reads name, cases and runs', () => {
    assert.deepEqual(parse('connect', '--json', '--cases', 'a/1,b/2', '--runs', '3'), {
      ok: true,
      value: { name: 'connect', json: true, cases: ['a/1', 'b/2'], runs: 3 },
    });
  });

  for (const [argv, expected] of [
    [['nope'], /expected connect: current value is "nope"/],
    [[], /expected connect/],
    [['connect', 'more'], /expected one benchmark/],
    [['connect', '--runs', '0'], /--runs must be 1-1000: current value is 0/],
    [['connect', '--wat'], /--wat/],
  ] as const) {
    it(`refuses ${JSON.stringify(argv)}`, () => {
      const parsed = parse(...argv);
      assert.equal(parsed.ok, false);
      assert.match(parsed.ok ? '' : parsed.error, expected);
    });
  }
});

describe('lastCpu()', () => {
  it('reads the list of allowed CPUs', () => {
    const status = (list: string): string => `Name:\tx\nCpus_allowed_list:\t${list}\nMems_allowed:\t1\n`;
    assert.deepEqual(
      ['0-1', '0,2-5', '3'].map((list) => lastCpu(status(list))),
      ['1', '5', '3'],
    );
  });
});
