import assert from 'node:assert/strict';
import { isClusterFile, parseClusterFile } from './clustermesh-file.ts';

const parse = (text: string) => parseClusterFile('/mesh/west', text, '/mesh');
const errorOf = (text: string): string => {
  const parsed = parse(text);
  assert.ok(!parsed.ok);
  return parsed.error;
};

describe('parseClusterFile()', () => {
  it('reads what Cilium writes', () => {
    const text = `
endpoints:
- https://west.mesh.cilium.io:2379
trusted-ca-file: /certs/ca.crt
key-file: client.key
cert-file: client.crt
username: remote
password: secret
dial-timeout: 5s
cilium-host-aliases:
- hostname: west.mesh.cilium.io
  ips:
  - 192.168.9.30
`;
    assert.ok(isClusterFile(text));
    assert.deepEqual(parse(text), {
      ok: true,
      value: {
        endpoints: ['https://west.mesh.cilium.io:2379'],
        tls: { ca: '/certs/ca.crt', cert: '/mesh/client.crt', key: '/mesh/client.key' },
        username: 'remote',
        password: 'secret',
        hostAliases: [{ hostname: 'west.mesh.cilium.io', ips: ['192.168.9.30'] }],
      },
    });
  });

  const PREFIX = 'Cannot use clustermesh file /mesh/west: ';
  const refused: readonly [string, string, string][] = [
    ['no endpoints', 'endpoints: []', 'endpoints must be a list of at least one URL such as https://HOST:2379'],
    [
      'a single endpoint',
      'endpoints: https://a:2379',
      'endpoints must be a list of at least one URL such as https://HOST:2379',
    ],
    ['a list', '- endpoints: x', 'expected a YAML mapping with endpoints'],
    ['half a key pair', 'endpoints: [http://a]\ncert-file: c', 'cert-file and key-file must be given together'],
    ['a number for a path', 'endpoints: [http://a]\ntrusted-ca-file: 7', 'trusted-ca-file must be text'],
    [
      'unchecked TLS',
      'endpoints: [http://a]\ninsecure-skip-tls-verify: true',
      'insecure-skip-tls-verify is not supported: give the authority in trusted-ca-file instead',
    ],
    [
      'an alias without addresses',
      'endpoints: [http://a]\ncilium-host-aliases: [{hostname: a}]',
      'each of cilium-host-aliases must have a hostname and a list of at least one address in ips',
    ],
    [
      'an alias twice',
      'endpoints: [http://a]\ncilium-host-aliases: [{hostname: a, ips: [10.0.0.1]}, {hostname: a, ips: [10.0.0.1]}]',
      'cilium-host-aliases must name each hostname once',
    ],
  ];
  for (const [title, text, reason] of refused) {
    it(`refuses ${title}`, () => assert.equal(errorOf(text), PREFIX + reason));
  }

  it('takes addresses for each of several hostnames', () => {
    const text =
      'endpoints: [http://a]\ncilium-host-aliases: [{hostname: a, ips: [10.0.0.1]}, {hostname: b, ips: [10.0.0.1]}]';
    const parsed = parse(text);
    assert.ok(parsed.ok);
    assert.deepEqual(
      parsed.value.hostAliases?.map(({ hostname }) => hostname),
      ['a', 'b'],
    );
  });

  it('names the line of bad YAML without quoting it', () => {
    const error = errorOf('endpoints:\n- http://a\npassword: "topsecret\nusername: x: y');
    assert.match(error, /expected valid YAML: found an error at line [34]/);
    assert.doesNotMatch(error, /topsecret/);
  });
});
