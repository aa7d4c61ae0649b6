import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ApiError, connectKubernetes, type KubernetesClient } from './client.ts';

const kubeconfig = (server: string, user = '{ token: "secret\\n" }') => `
clusters: [{ name: east, cluster: { server: "${server}" } }]
users: [{ name: me, user: ${user} }]
contexts: [{ name: one, context: { cluster: east, user: me } }, { name: two, context: { cluster: none, user: me } }]
current-context: one
`;

describe('connectKubernetes()', () => {
  let dir: string;
  let path: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'tbl-kube-'));
    path = join(dir, 'config');
  });
  after(() => rmSync(dir, { recursive: true }));

  const cases: readonly (readonly [string, string, string | undefined, RegExp])[] = [
    ['an empty file', '', undefined, /Cannot use kubeconfig \S+: expected a document/],
    ['no document', 'null', undefined, /Cannot use kubeconfig \S+: expected a document with clusters/],
    ['text that is no YAML', '{', undefined, /Cannot use kubeconfig/],
    ['a cluster without a name', 'clusters: [{}]', undefined, /Cannot use kubeconfig .*name/],
    [
      'an unknown context',
      kubeconfig('http://x'),
      'three',
      /expected a context among one, two: current value is three/,
    ],
    ['a context without its cluster', kubeconfig('http://x'), 'two', /expected a cluster for context two/],
    ['a server that is no URL', kubeconfig('ftp://x'), undefined, /expected server to be an http or https URL/],
  ];
  for (const [what, text, context, expected] of cases) {
    it(`refuses ${what} with a sentence`, () => {
      writeFileSync(path, text);
      assert.throws(() => connectKubernetes({ kubeconfig: path, context }), expected);
    });
  }

  it('refuses a missing file, and to be neither in a cluster nor given a kubeconfig', () => {
    assert.throws(() => connectKubernetes({ kubeconfig: join(dir, 'no') }), /Cannot use kubeconfig \S+no: ENOENT/);
    assert.throws(() => connectKubernetes({}), /Cannot find the Kubernetes API: expected a kubeconfig/);
  });
});

const deaf = { opened: () => {}, line: () => {} };

describe('KubernetesClient', () => {
  let dir: string;
  let server: Server;
  let answer: RequestListener;
  let client: KubernetesClient;
  const signal = new AbortController().signal;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tbl-kube-'));
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    writeFileSync(join(dir, 'config'), kubeconfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base`));
    client = connectKubernetes({ kubeconfig: join(dir, 'config') });
  });
  after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true });
  });

  it('get() asks below the server path with the token, and parses the answer', async () => {
    let asked: unknown[] = [];
    answer = (request, response) => {
      asked = [request.url, request.headers.authorization];
      response.end('{"kind":"List"}');
    };
    assert.deepEqual(JSON.parse(await client.get('/api/v1/pods?limit=1', signal)), { kind: 'List' });
    assert.deepEqual(asked, ['/base/api/v1/pods?limit=1', 'Bearer secret']);
  });

  it('send() sends what it is given, also with DELETE, and parses the answer', async () => {
    for (const method of ['POST', 'PUT', 'DELETE'] as const) {
      let asked: unknown[] = [];
      answer = async (request, response) => {
        asked = [request.method, request.headers['content-type'], JSON.parse(await text(request))];
        response.end('{"kind":"Lease"}');
      };
      assert.equal(await client.send(method, '/x', { spec: 'ä' }, signal), '{"kind":"Lease"}');
      assert.deepEqual(asked, [method, 'application/json', { spec: 'ä' }]);
    }
  });

  it('get() rejects when nobody answers in time', async () => {
    answer = () => {};
    const impatient = connectKubernetes({ kubeconfig: join(dir, 'config') }, 20);
    await assert.rejects(impatient.get('/x', signal), /no answer within 0.02 s/);
    impatient.close();
  });

  it('reads the token of a tokenFile, and reads it again when that is refused', async () => {
    const asked: unknown[] = [];
    answer = (request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(request.headers.authorization === 'Bearer new' ? 200 : 401).end('{}');
    };
    const { port } = server.address() as AddressInfo;
    writeFileSync(join(dir, 'token'), 'old\n');
    writeFileSync(join(dir, 'with-file'), kubeconfig(`http://127.0.0.1:${port}`, '{ token: older, tokenFile: token }'));
    const owner = connectKubernetes({ kubeconfig: join(dir, 'with-file') });
    const unauthorized = (error: unknown) => error instanceof ApiError && error.status === 401;
    await assert.rejects(owner.get('/x', signal), unauthorized);
    writeFileSync(join(dir, 'token'), 'new\n');
    assert.equal(await owner.get('/x', signal), '{}');
    assert.deepEqual(asked, ['Bearer old', 'Bearer new']);
    owner.close();
  });

  it('takes up a kubeconfig that was written anew when what it has is refused, and keeps it when that is half written', async () => {
    const file = join(dir, 'rewritten');
    const { port } = server.address() as AddressInfo;
    const write = (token: string) => writeFileSync(file, kubeconfig(`http://127.0.0.1:${port}`, `{ token: ${token} }`));
    const asked: unknown[] = [];
    answer = (request, response) => {
      asked.push(request.headers.authorization);
      response.writeHead(401).end();
    };
    write('one');
    const owner = connectKubernetes({ kubeconfig: file });
    const ask = () => assert.rejects(owner.get('/x', signal), /401/);
    await ask();
    writeFileSync(file, '{');
    await ask();
    write('two');
    await ask();
    await ask();
    assert.deepEqual(asked, ['Bearer one', 'Bearer one', 'Bearer one', 'Bearer two']);
    owner.close();
  });

  it('get() rejects with the status and its explanation', async () => {
    answer = (_, response) => response.writeHead(403).end('{"kind":"Status","message":"pods is forbidden"}');
    await assert.rejects(
      client.get('/x', signal),
      (error) => error instanceof ApiError && error.status === 403 && /pods is forbidden/.test(error.message),
    );
    answer = (_, response) => response.writeHead(429, { 'retry-after': '7' }).end();
    await assert.rejects(client.get('/x', signal), (error) => error instanceof ApiError && error.retryAfterMs === 7000);
    answer = (_, response) => response.writeHead(502).end('<html>bad gateway</html>');
    await assert.rejects(client.get('/x', signal), /502: <html>bad gateway/);
  });

  it('stream() calls for each line, and resolves when the server ends', async () => {
    answer = (_, response) => response.end('{"a":1}\n{"b":1}\n');
    const lines: string[] = [];
    await client.stream('/x', { opened: () => lines.push('opened'), line: (line) => lines.push(line) }, signal, 1000);
    assert.deepEqual(lines, ['opened', '{"a":1}', '{"b":1}']);
  });

  it('stream() rejects when the connection breaks, is silent for too long, or with what the callback threw', async () => {
    answer = (_, response) => {
      response.write('1\n');
      setImmediate(() => response.destroy());
    };
    await assert.rejects(client.stream('/x', deaf, signal, 1000), /aborted|reset|hang up/i);
    answer = (_, response) => void response.write('1\n');
    await assert.rejects(client.stream('/x', deaf, signal, 20), /nothing heard for 20 ms/);
    const lines: string[] = [];
    answer = (_, response) => void response.write('1\n2\n');
    const throwing = (line: string) => {
      lines.push(line);
      throw new Error(`no ${line}`);
    };
    await assert.rejects(client.stream('/x', { ...deaf, line: throwing }, signal, 1000), /no 1/);
    assert.deepEqual(lines, ['1']);
  });

  it('stream() ends by its signal', async () => {
    const stop = new AbortController();
    answer = (_, response) => void response.write('1\n');
    const streaming = client.stream('/x', { ...deaf, line: () => stop.abort() }, stop.signal, 1000);
    await streaming.catch((error: unknown) => assert.match(String(error), /abort/i));
  });
});
