import assert from 'node:assert/strict';
import { ip } from '../model/ip.ts';
import { apiServerUrl, isKubernetesService } from './api-address.ts';

describe('apiServerUrl()', () => {
  for (const [text, url] of [
    ['192.0.2.1', 'https://192.0.2.1:6443'],
    ['192.0.2.1:443', 'https://192.0.2.1:443'],
    ['2001:db8::1', 'https://[2001:db8::1]:6443'],
    ['[2001:db8::1]:443', 'https://[2001:db8::1]:443'],
    ['api.Example.net', 'https://api.example.net:6443'],
    ['localhost:7443', 'https://localhost:7443'],
  ] as const) {
    it(`makes ${url} of ${text}`, () => assert.deepEqual(apiServerUrl(text), { ok: true, value: url }));
  }
  for (const text of ['', 'https://192.0.2.1', '192.0.2.1:0', '192.0.2.1:65536', 'a/b', '[x]:1', ':443', 'a b']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const made = apiServerUrl(text);
      assert.ok(!made.ok && made.error.includes(`current value is ${JSON.stringify(text)}`));
    });
  }
});

describe('isKubernetesService()', () => {
  const kubelet = { KUBERNETES_PORT: 'tcp://10.96.0.1:443' };
  const kubelet6 = { KUBERNETES_PORT: 'tcp://[fd00:96:0::1]:443' };

  for (const [server, env, ips, expected] of [
    ['https://10.96.0.1:443', kubelet, [], true],
    ['https://192.0.2.1:6443', kubelet, [], false],
    ['https://[fd00:96::1]:443', kubelet6, [], true],
    ['https://10.96.0.1:443', {}, [], false],
    ['https://10.96.0.1', {}, [ip('fd00:96::1'), ip('10.96.0.1')], true],
    ['https://kubernetes.default.svc', {}, [], true],
    ['https://kubernetes.default.svc.cluster.local:443', {}, [], true],
    ['https://kubernetes.example.net', kubelet, [], false],
    ['https://kubernetes', {}, [], true],
    ['http://127.0.0.1:8080', { KUBERNETES_PORT: 'nonsense' }, [ip('10.96.0.1')], false],
  ] as const) {
    it(`says ${expected} of ${server} with ${JSON.stringify(env)} and [${ips}]`, () =>
      assert.equal(isKubernetesService(server, env, ips), expected));
  }
});
