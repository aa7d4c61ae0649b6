import assert from 'node:assert/strict';
import { getCACertificates } from 'node:tls';
import { parseEndpoints, readTls, shuffled } from './endpoint.ts';
import { EtcdError } from './errors.ts';

describe('parseEndpoints()', () => {
  const good = [
    { text: 'http://127.0.0.1:2379', target: '127.0.0.1:2379', secure: false },
    { text: 'https://east.mesh.cilium.io:2379', target: 'east.mesh.cilium.io:2379', secure: true },
    { text: 'https://east.mesh.cilium.io', target: 'east.mesh.cilium.io:2379', secure: true },
    { text: 'https://east.mesh.cilium.io:443/', target: 'east.mesh.cilium.io:443', secure: true },
    { text: 'http://[::1]:23790', target: '[::1]:23790', secure: false },
    { text: 'http://[::1]', target: '[::1]:2379', secure: false },
  ];
  for (const { text, target, secure } of good) {
    it(`parseEndpoints() dials ${target} for ${text}`, () => {
      const [endpoint, ...others] = parseEndpoints({ endpoints: [text] });
      assert.deepEqual(others, []);
      assert.equal(endpoint?.target, target);
      assert.equal(endpoint?.secure, secure);
    });
  }

  for (const text of [
    '',
    'etcd',
    '127.0.0.1:2379',
    'unix:///run/etcd',
    'http://',
    'http://a/b',
    'http://a?b',
    'ftp://a',
  ]) {
    it(`parseEndpoints() refuses ${JSON.stringify(text)} by name`, () => {
      assert.throws(
        () => parseEndpoints({ endpoints: [text] }),
        (error) =>
          error instanceof EtcdError && error.kind === 'config' && error.message.includes(JSON.stringify(text)),
      );
    });
  }

  it('parseEndpoints() does not repeat a password that was put into an endpoint', () => {
    assert.throws(
      () => parseEndpoints({ endpoints: ['http://root:hunter2@a:2379'] }),
      (error) => error instanceof EtcdError && !error.message.includes('hunter2'),
    );
  });

  it('parseEndpoints() reports all problems at once', () => {
    const config = {
      endpoints: [],
      tls: { cert: '/a' },
      hostAliases: [
        { hostname: '', ips: [] },
        { hostname: 'b', ips: ['nonsense'] },
        { hostname: 'b', ips: ['10.0.0.1'] },
      ],
    };
    assert.throws(
      () => parseEndpoints(config),
      (error) =>
        error instanceof EtcdError &&
        ['at least one endpoint', 'one is empty', 'the list is empty', 'nonsense', 'twice', 'together'].every((part) =>
          error.message.includes(part),
        ),
    );
  });

  it('parseEndpoints() wants addresses in each alias, and a certificate with its key, or neither', () => {
    const problemOf = (fields: Omit<Parameters<typeof parseEndpoints>[0], 'endpoints'>): string | undefined => {
      try {
        parseEndpoints({ endpoints: ['https://a'], ...fields });
        return undefined;
      } catch (error) {
        return error instanceof EtcdError ? error.message.split(': ').slice(1).join(': ') : String(error);
      }
    };
    const empty = 'expected addresses for host alias "b": the list is empty';
    assert.equal(problemOf({ hostAliases: [{ hostname: 'b', ips: [] }] }), empty);
    const together = 'expected certificate and key together: only one of them is set';
    for (const tls of [{ cert: '/a' }, { key: '/a' }]) assert.equal(problemOf({ tls }), together);
    for (const tls of [{}, { ca: '/a' }, { cert: '/a', key: '/b' }]) assert.equal(problemOf({ tls }), undefined);
  });

  it('parseEndpoints() dials each address of an alias and keeps the name for the certificate', () => {
    const endpoints = parseEndpoints({
      endpoints: ['https://east.mesh.cilium.io:2379'],
      hostAliases: [{ hostname: 'east.mesh.cilium.io', ips: ['192.0.2.7', '2001:db8::7'] }],
    });
    assert.deepEqual(
      endpoints.map(({ target, serverName }) => ({ target, serverName })),
      [
        { target: 'ipv4:192.0.2.7:2379', serverName: 'east.mesh.cilium.io' },
        { target: 'ipv6:[2001:db8::7]:2379', serverName: 'east.mesh.cilium.io' },
      ],
    );
  });
});

describe('readTls()', () => {
  it('readTls() names the file that it cannot read', async () => {
    await assert.rejects(
      readTls({ ca: '/nowhere/ca.crt' }),
      /Cannot read the CA certificate \/nowhere\/ca.crt: .*ENOENT/,
    );
  });

  it('readTls() refuses content that is no PEM without repeating it', async () => {
    await assert.rejects(
      readTls({ cert: Buffer.from('secret'), key: Buffer.from('secret') }),
      (error) => error instanceof EtcdError && error.message.includes('PEM') && !error.message.includes('secret'),
    );
  });

  it("readTls() trusts Node's roots and the system's when no CA is set", async () => {
    const { ca } = await readTls(undefined);
    const all = new Set((['bundled', 'extra', 'system'] as const).flatMap((kind) => getCACertificates(kind)));
    for (const root of all) assert.ok(ca.includes(root));
    assert.equal(ca.toString().match(/-----BEGIN CERTIFICATE-----/g)?.length, all.size);
  });
});

describe('shuffled()', () => {
  it('shuffled() keeps every element', () => {
    let seed = 0;
    const random = () => (seed = (seed + 0.37) % 1);
    assert.deepEqual(shuffled([1, 2, 3, 4], random).toSorted(), [1, 2, 3, 4]);
    assert.deepEqual(
      shuffled([1, 2, 3], () => 0),
      [1, 2, 3],
    );
    assert.deepEqual(
      shuffled([1, 2, 3], () => 0.999),
      [3, 2, 1],
    );
  });
});
