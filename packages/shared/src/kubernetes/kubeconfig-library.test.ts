import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import type { RequestOptions } from 'node:https';
import { join } from 'node:path';
import { modulesLoadedBy } from '../process/loaded-modules.fixture.ts';
import { KubeConfig } from './kubeconfig-library.ts';

describe('kubeconfig-library.ts', () => {
  it('loads of the library what reads kubeconfigs, and neither API classes nor undici', () => {
    const { files, packages, builtins } = modulesLoadedBy(join(import.meta.dirname, 'client.ts'));
    const library = files.filter((file) => file.startsWith('node_modules/@kubernetes/client-node/'));
    assert.ok(library.includes('node_modules/@kubernetes/client-node/dist/config.js'));
    assert.ok(library.length < 20, library.join('\n'));
    for (const name of ['undici', 'socks', 'openid-client']) assert.ok(!packages.has(name), name);
    assert.ok(!builtins.some((name) => name.includes('undici')), 'node:http was imported, and not got');
    assert.ok(files.length < 80, `${files.length} files`);
  });

  it('says of an API client that it cannot be made', () => {
    const config = new KubeConfig();
    config.loadFromClusterAndUser({ name: 'c', server: 'http://127.0.0.1', skipTLSVerify: true }, { name: 'u' });
    assert.throws(() => config.makeApiClient(Object), /Cannot make an API client/);
  });

  it('shows the token of a user who signed in by OpenID Connect', async () => {
    const config = new KubeConfig();
    const token = 'e30.eyJleHAiOjk5OTk5OTk5OTl9.-'; // It expires in 2286.
    const provider = { 'client-id': 'c', 'refresh-token': 'r', 'idp-issuer-url': 'https://127.0.0.1:1' };
    config.loadFromClusterAndUser(
      { name: 'c', server: 'https://10.0.0.1', skipTLSVerify: false },
      { name: 'u', authProvider: { name: 'oidc', config: { ...provider, 'id-token': token } } },
    );
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    assert.deepEqual(options.headers, { Authorization: `Bearer ${token}` });
  });

  for (const proxyUrl of ['http://127.0.0.1:1', 'socks5://127.0.0.1:1']) {
    it(`gives a way through ${proxyUrl}`, async () => {
      const config = new KubeConfig();
      config.loadFromClusterAndUser(
        { name: 'c', server: 'https://10.0.0.1', skipTLSVerify: false, proxyUrl },
        { name: 'u' },
      );
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      assert.ok(options.agent instanceof Agent);
    });
  }
});
