/** Streams that their programs bound to one port, through two Services with one backend: each has a connection of its own. */
import assert from 'node:assert/strict';
import type { Mesh } from '@tombolo/lab/mesh/mesh.ts';
import { startRealMesh } from '../mesh.ts';
import { clientPod, uses, webPod, webService } from './web.ts';

/** Connects from one port to each of these, asks each twice by turns, and prints the first line of each answer. */
const asking = (hosts: readonly string[], localPort: number): string => `
  const connect = (host) => new Promise((done) => {
    const socket = require('node:net').connect({ host, port: 80, localPort: ${localPort} });
    socket.on('error', (error) => done(error.code));
    socket.on('connect', () => done(socket));
  });
  const ask = (socket) => typeof socket === 'string' ? socket : new Promise((done) => {
    socket.once('data', (data) => done(String(data).split('\\r\\n')[0]));
    setTimeout(done, 5000, 'silence');
    socket.write('GET / HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n');
  });
  (async () => {
    const sockets = [];
    for (const host of ${JSON.stringify(hosts)}) sockets.push(await connect(host));
    const answers = [];
    for (const socket of [...sockets, ...sockets]) answers.push(await ask(socket));
    console.log(JSON.stringify(answers));
    process.exit();
  })();`;

describe('two streams with one port of their own', () => {
  let mesh: Mesh;
  after(() => mesh?.close());

  it('reach one backend through two Services', async () => {
    mesh = await startRealMesh({
      name: 'e2eports',
      clusters: [{ name: 'east', id: 1, nodes: 2 }],
      agent: { datapath: 'ebpf' },
    });
    const east = mesh.cluster('east');
    const first = webService({});
    const second = { ...first, metadata: { ...first.metadata, name: 'web-again' } };
    await east.apply([first, second, webPod('web-a', 'east-2'), clientPod('east-1')]);
    const [client, web] = await Promise.all([east.pod('client'), east.pod('web-a')]);
    await uses(east.node(1), [web.address]);
    const hosts = await Promise.all([first, second].map(({ metadata }) => east.serviceAddress(metadata.name)));
    for (const port of [5000, 5001, 5002]) {
      const said = await client.exec([process.execPath, '-e', asking(hosts, port)]);
      assert.deepEqual(
        JSON.parse(said),
        Array.from({ length: 4 }, () => 'HTTP/1.1 200 OK'),
      );
    }
  });
});
