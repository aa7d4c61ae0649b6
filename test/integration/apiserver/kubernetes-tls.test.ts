/** Who we are for a real API server: it names the user whom it refuses. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command } from '@tombolo/machine/command.ts';
import { Pki } from '@tombolo/machine/pki.ts';
import { type LoopbackControlPlane, startLoopbackControlPlane } from '@tombolo/real-kubernetes/run/loopback.ts';
import { connectKubernetes, type KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';

describe('connectKubernetes() over TLS', () => {
  let kubernetes: LoopbackControlPlane;
  let pki: Pki;
  let directory: string;
  const clients: KubernetesClient[] = [];
  const signal = new AbortController().signal;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tbl-kube-tls-'));
    kubernetes = await startLoopbackControlPlane({ name: 'ttls' });
    pki = kubernetes.controlPlane.credentials.pki;
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  after(async () => {
    await kubernetes?.close();
    rmSync(directory, { recursive: true });
  });

  function connect(ca: string, user: object): KubernetesClient {
    const { server } = kubernetes.controlPlane;
    const path = join(directory, 'kubeconfig');
    const config = {
      clusters: [{ name: 'c', cluster: { server, 'certificate-authority': ca } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(path, JSON.stringify(config));
    const client = connectKubernetes({ kubeconfig: path });
    clients.push(client);
    return client;
  }

  /** As the API server knows us. */
  async function nameOf(client: KubernetesClient): Promise<string> {
    const refusal = await client.get('/api/v1/nodes', signal).then(() => 'none', String);
    return /User "([^"]+)" cannot list resource "nodes"/.exec(refusal)?.[1] ?? refusal;
  }

  it('shows its client certificate, and takes up a new one', async () => {
    const [anna, bert] = [await pki.issue('anna'), await pki.issue('bert')];
    const [cert, key] = [join(directory, 'client.crt'), join(directory, 'client.key')];
    copyFileSync(anna.cert, cert);
    copyFileSync(anna.key, key);
    const client = connect(pki.ca, { 'client-certificate': cert, 'client-key': key });
    assert.equal(await nameOf(client), 'anna');
    copyFileSync(bert.cert, cert);
    copyFileSync(bert.key, key);
    assert.equal(await nameOf(client), 'bert');
  });

  it('shows its token, and works without any user', async () => {
    const argv = [kubernetes.kubectl, '--kubeconfig', kubernetes.kubeconfig, 'create', 'token', 'default'];
    const token = (await command(argv)).trim();
    assert.equal(await nameOf(connect(pki.ca, { token })), 'system:serviceaccount:default:default');
    const anonymous = connect(pki.ca, {});
    assert.equal(await nameOf(anonymous), 'system:anonymous');
    assert.match(await anonymous.get('/version', signal), /"gitVersion": ?"v1\./);
  });

  it('tells that its token is not taken', async () => {
    await assert.rejects(connect(pki.ca, { token: 'no-token' }).get('/version', signal), /401.*Unauthorized/);
  });

  it('refuses a server that another CA vouches for, and a CA that is not there', async () => {
    const other = await Pki.create(directory, 'other');
    await assert.rejects(connect(other.ca, { token: 'secret' }).get('/version', signal), /certificate|self-signed/);
    const lost = connect('/no/such/ca', { token: 'secret' });
    await assert.rejects(lost.get('/version', signal), /ENOENT.*\/no\/such\/ca/);
  });
});
