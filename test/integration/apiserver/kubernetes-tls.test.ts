import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Pki } from '@tombolo/machine/pki.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';

describe('connectKubernetes() over TLS', () => {
  let directory: string;
  let pki: Pki;
  let server: Server;
  const signal = new AbortController().signal;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tbl-kube-tls-'));
    pki = await Pki.create(directory);
    const { cert, key } = await pki.issue('server', 'IP:127.0.0.1');
    const options = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(pki.ca), requestCert: true };
    server = createServer({ ...options, rejectUnauthorized: false }, (request, response) => {
      const subject = (request.socket as TLSSocket).getPeerCertificate().subject;
      response.end(JSON.stringify({ user: subject?.CN, authorization: request.headers.authorization }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true });
  });

  function connect(ca: string, user: object) {
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = join(directory, 'kubeconfig');
    const config = {
      clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority': ca } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(path, JSON.stringify(config));
    return connectKubernetes({ kubeconfig: path });
  }

  it('shows its client certificate, and takes up a new one', async () => {
    const [anna, bert] = [await pki.issue('anna'), await pki.issue('bert')];
    const [cert, key] = [join(directory, 'client.crt'), join(directory, 'client.key')];
    copyFileSync(anna.cert, cert);
    copyFileSync(anna.key, key);
    const client = connect(pki.ca, { 'client-certificate': cert, 'client-key': key });
    assert.deepEqual(await client.get('/', signal), { user: 'anna' });
    copyFileSync(bert.cert, cert);
    copyFileSync(bert.key, key);
    assert.deepEqual(await client.get('/', signal), { user: 'bert' });
    client.close();
  });

  it('shows its token, and works without any user', async () => {
    const client = connect(pki.ca, { token: 'secret' });
    assert.deepEqual(await client.get('/', signal), { authorization: 'Bearer secret' });
    client.close();
    const anonymous = connect(pki.ca, {});
    assert.deepEqual(await anonymous.get('/', signal), {});
    anonymous.close();
  });

  it('refuses a server that another CA vouches for, and a CA that is not there', async () => {
    const other = await Pki.create(directory, 'other');
    const client = connect(other.ca, { token: 'secret' });
    await assert.rejects(client.get('/', signal), /certificate|self-signed/);
    client.close();
    const lost = connect('/no/such/ca', { token: 'secret' });
    await assert.rejects(lost.get('/', signal), /ENOENT.*\/no\/such\/ca/);
    lost.close();
  });
});
