import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { ApiFixture, until } from './fixture.ts';

describe('serveApi() on a unix socket', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await ApiFixture.create();
  });
  afterEach(() => api.close());

  const socketPath = (): string => path.join(api.folder, 'run', 'agent.sock');

  it('makes the folder and a socket of mode 0660, and takes the socket away on close', async () => {
    const server = await api.serve();
    assert.equal(server.address, `unix://${socketPath()}`);
    const { mode, uid } = await stat(socketPath());
    assert.equal(mode & 0o777, 0o660);
    assert.equal(uid, process.getuid?.());
    await server.close();
    assert.equal(existsSync(socketPath()), false);
  });

  it('replaces the socket that a killed process left behind', async () => {
    await mkdir(path.dirname(socketPath()));
    const script = `require('net').createServer().listen(${JSON.stringify(socketPath())}, () => console.log('up'))`;
    const other = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    other.kill('SIGKILL');
    await once(other, 'exit');
    assert.ok(existsSync(socketPath()));
    await api.serve();
    assert.equal((await api.client().getStatus()).node, 'n1');
  });

  it('refuses a socket on which another process serves, and leaves it alone', async () => {
    const first = await api.serve();
    await assert.rejects(api.serve(), {
      message: `Cannot serve the API on unix://${socketPath()}: another process serves there; is another agent running on this node?`,
    });
    assert.equal((await api.client(first.address).getStatus()).node, 'n1');
  });

  it('refuses a path that is a file, and leaves it alone', async () => {
    await mkdir(path.dirname(socketPath()));
    await writeFile(socketPath(), 'mine');
    await assert.rejects(api.serve(), /: the path exists and is not a socket$/);
    assert.ok(existsSync(socketPath()));
  });

  it('refuses a folder that cannot be made, and a path that is too long', async () => {
    await writeFile(path.join(api.folder, 'file'), '');
    const address = `unix://${api.folder}/file/agent.sock`;
    await assert.rejects(api.serve({ address }), /^Error: Cannot serve the API on unix:.*(ENOTDIR|EEXIST)/);
    await assert.rejects(api.serve({ address: `unix:///tmp/${'x'.repeat(120)}` }), /must have 1-107 bytes/);
  });

  it('does not take away the socket of the agent that came after it', async () => {
    const first = await api.serve();
    await rename(socketPath(), `${socketPath()}.aside`);
    await api.serve();
    await first.close();
    assert.equal((await api.client().getStatus()).node, 'n1');
  });
});

describe('serveApi() on TCP', () => {
  let api: ApiFixture;
  beforeEach(async () => {
    api = await ApiFixture.create();
  });
  afterEach(() => api.close());

  it('tells the port it took', async () => {
    const { address } = await api.serve({ address: '127.0.0.1:0' });
    assert.match(address, /^127\.0\.0\.1:[1-9]\d+$/);
    assert.equal((await api.client(address).getStatus()).node, 'n1');
  });

  it('says in one sentence that a port is busy', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    api.onClose(() => other.close());
    await once(other, 'listening');
    const busy = other.address();
    assert.ok(busy && typeof busy === 'object');
    await assert.rejects(api.serve({ address: `127.0.0.1:${busy.port}` }), {
      message: `Cannot serve the API on 127.0.0.1:${busy.port}: another process uses this port`,
    });
  });

  it('says what is wrong with an address', async () => {
    await assert.rejects(
      api.serve({ address: 'nonsense' }),
      /expected unix:\/\/\/path or host:port: current value is "nonsense"/,
    );
    await assert.rejects(api.serve({ address: '192.0.2.1:0' }), /this machine does not have this address/);
  });
});

describe('serveApi() closed', () => {
  it('ends streams with UNAVAILABLE, lets go of the source, twice in one process', async () => {
    const api = await ApiFixture.create();
    try {
      for (let round = 0; round < 2; round++) {
        const server = await api.serve();
        const stream = api.client().watchServices({ namespace: '', name: '', globalOnly: false });
        await stream.next();
        await stream.next();
        const ended = assert.rejects(async () => {
          for (;;) if ((await stream.next()).done) return;
        }, /went away: it stops or restarts/);
        await Promise.all([server.close(), server.close(), ended]);
        assert.equal(api.source.tableListeners.size, 0);
      }
    } finally {
      await api.close();
    }
  });

  it('does not wait longer than its deadline for a reader that reads nothing, or a peer that says nothing', async () => {
    const api = await ApiFixture.create();
    try {
      const server = await api.serve({ address: '127.0.0.1:0', drainMs: 50 });
      const mute = connect(Number(server.address.split(':')[1]), '127.0.0.1');
      mute.on('error', () => {}).resume();
      await once(mute, 'connect');
      await server.close();
      await until('the mute peer was let go', () => mute.destroyed || mute.readyState !== 'open');
    } finally {
      await api.close();
    }
  });

  it('leaves no open handle: a process that serves, is watched and closes ends by itself', async () => {
    const script = `
      import { FakeSource } from '@tombolo/node-agent/api/fake-source.fixture.ts';
      import { serveApi } from '@tombolo/node-agent/api/serve.ts';
      import { silentLogger } from '@tombolo/shared/process/logger.ts';
      import { AgentClient } from '@tombolo/cli/client.ts';
      for (let i = 0; i < 2; i++) {
        const server = await serveApi({ address: '127.0.0.1:0', source: new FakeSource(), log: silentLogger });
        const [host, port] = server.address.split(':');
        const client = new AgentClient({ kind: 'tcp', host, port: Number(port) }, 5000);
        const stream = client.watchServices({ namespace: '', name: '', globalOnly: false });
        await stream.next();
        await server.close();
        await stream.return();
        client.close();
      }
      console.log('closed');`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: path.join(import.meta.dirname, '../../..'),
    });
    const [output] = await once(child.stdout, 'data');
    assert.equal(String(output), 'closed\n');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });
});
