/** The CLI as users run it: a process, its output and its exit code, against a real server. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import {
  EAST,
  sampleBackend,
  sampleCluster,
  sampleEntry,
  sampleGroup,
  sampleWeb,
  selected,
  WEST,
} from '@tombolo/node-agent/api/fake-source.fixture.ts';
import type { ApiServer } from '@tombolo/node-agent/api/serve.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { ApiFixture } from './fixture.ts';

const PROGRAM = path.join(import.meta.dirname, '../../../scripts/tombolo');

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

describe('tombolo', () => {
  let api: ApiFixture;
  let server: ApiServer;
  beforeEach(async () => {
    api = await ApiFixture.create();
    api.source.set(sampleWeb());
    api.source.setCluster(sampleCluster(EAST));
    api.source.setCluster(sampleCluster(WEST, { control: 'silent', lastError: 'connection refused' }));
    server = await api.serve();
  });
  afterEach(() => api.close());

  const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}, program = PROGRAM): ChildProcess => {
    const child = spawn(program, args, {
      env: { ...process.env, TOMBOLO_ADDRESS: api.socketAddress, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    api.onClose(() => child.kill('SIGKILL'));
    return child;
  };

  const run = async (args: readonly string[], env: NodeJS.ProcessEnv = {}, program = PROGRAM): Promise<Result> => {
    const child = start(args, env, program);
    const read = { out: '', err: '' };
    child.stdout?.on('data', (chunk) => {
      read.out += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      read.err += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, ...read };
  };

  it('status', async () => {
    const { code, out } = await run(['status']);
    assert.equal(code, 0);
    assert.match(out, /^Agent {5}node n1 of cluster east \(id 1\), version 0\.1\.0$/m);
    assert.match(out, /^Clusters {2}1 of 2 heard$/m);
    const json = JSON.parse((await run(['status', '-o', 'json'])).out);
    assert.deepEqual([json.cluster, json.datapath, json.ready], ['east', 'ebpf', true]);
  });

  it('clusters', async () => {
    const { code, out } = await run(['clusters']);
    assert.equal(code, 0);
    assert.match(out, /^west +2 +silent \(stale\)/m);
    assert.match(out, /^west: connection refused$/m);
    const { clusters } = JSON.parse((await run(['clusters', '-o', 'json'])).out);
    assert.deepEqual(
      clusters.map(({ name, control }: { name: string; control: string }) => [name, control]),
      [
        ['east', 'heard'],
        ['west', 'silent'],
      ],
    );
  });

  it('services, with filters', async () => {
    api.source.set(sampleEntry('db', [], { global: false }));
    assert.match(
      (await run(['services'])).out,
      /^default +web +global,shared +none +10\.96\.0\.10 +80\/TCP +2\/3 +east 1/m,
    );
    const names = async (...args: readonly string[]) => {
      const { services } = JSON.parse((await run(['services', '-o', 'json', ...args])).out);
      return services.map(({ name }: { name: string }) => name);
    };
    assert.deepEqual(await names(), ['db', 'web']);
    assert.deepEqual(await names('--global'), ['web']);
    assert.deepEqual(await names('-n', 'shop'), []);
  });

  it('service NS/NAME and NAME -n NS', async () => {
    const { code, out } = await run(['service', 'default/web']);
    assert.equal(code, 0);
    const order = ['10.1.0.5:8080', '10.2.0.5:8080', '10.2.0.6:8080'].map((address) => out.indexOf(address));
    assert.ok(
      order.every((at, i) => at > (order[i - 1] ?? 0)),
      out,
    );
    assert.match(out, /no +10\.2\.0\.6:8080 .* unready .* west says it is not ready$/m);
    const json = JSON.parse((await run(['service', 'web', '-n', 'default', '-o', 'json'])).out);
    assert.equal(json.service.groups[0].backends.length, 3);
  });

  it('service with 20,000 backends, whole', async () => {
    const address = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const backends = Array.from({ length: 20_000 }, (_, i) => selected(sampleBackend(address(i))));
    api.source.set(sampleEntry('big', [sampleGroup(backends)]));
    const { out } = await run(['service', 'default/big', '-o', 'json']);
    assert.equal(JSON.parse(out).service.groups[0].backends.length, 20_000);
  });

  it('watch, as lines of JSON and as lines for people, until the agent goes away', async () => {
    const child = start(['watch', '-o', 'json']);
    const people = start(['watch', 'default/web']);
    assert.ok(child.stdout && people.stdout && child.stderr);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await lines.next()).value ?? 'null');
    assert.equal((await next()).event, 'snapshotBegin');
    assert.equal((await next()).service.name, 'web');
    assert.equal((await next()).event, 'snapshotEnd');
    const peopleLines = createInterface({ input: people.stdout })[Symbol.asyncIterator]();
    assert.match((await peopleLines.next()).value ?? '', /default\/web +2\/3 backends +east 1, west 1 \(stale\)/);
    assert.match((await peopleLines.next()).value ?? '', /1 service; changes follow/);
    api.source.remove(serviceKey('default', 'web'));
    assert.deepEqual(await next(), { event: 'removed', revision: 2, namespace: 'default', name: 'web' });
    assert.equal((await next()).event, 'bookmark');
    assert.match((await peopleLines.next()).value ?? '', /default\/web +removed/);
    const errors = once(child.stderr, 'data');
    const exits = Promise.all([once(child, 'exit'), once(people, 'exit')]);
    await server.close();
    assert.match(String((await errors)[0]), /went away/);
    assert.deepEqual(
      (await exits).map(([code]) => code),
      [3, 3],
    );
  });

  it('ends quietly when its reader has seen enough', async () => {
    api.source.set(...Array.from({ length: 5_000 }, (_, i) => sampleEntry(`svc-${i}`, [])));
    const { code, out, err } = await run(['-c', `'${PROGRAM}' services | head -1`], {}, '/bin/bash');
    assert.equal(code, 0);
    assert.match(out, /^NAMESPACE/);
    assert.equal(err, '');
  });

  it('works as a plugin of kubectl', async () => {
    const link = path.join(api.folder, 'kubectl-tombolo');
    await symlink(PROGRAM, link);
    assert.match((await run(['--help'], {}, link)).out, /^Usage: kubectl tombolo /);
    assert.match((await run(['service', '--help'], {}, link)).out, /kubectl tombolo service shop\/cart/);
    assert.equal((await run(['services'], {}, link)).code, 0);
    const script = `PATH=${api.folder}:$PATH kubectl tombolo service web -n default`;
    assert.match((await run(['-c', script], {}, '/bin/bash')).out, /^default\/web: global, shared/);
  });

  it('uses no colour where there is no terminal, and none with NO_COLOR in one', async () => {
    assert.equal((await run(['clusters'])).out.includes('\u001b'), false);
    const inTerminal = (env: NodeJS.ProcessEnv) => run(['-qec', `'${PROGRAM}' clusters`, '/dev/null'], env, 'script');
    const colourful = { TERM: 'xterm', NO_COLOR: undefined, CI: undefined };
    assert.ok((await inTerminal(colourful)).out.includes('\u001b[33msilent'));
    assert.equal((await inTerminal({ TERM: 'xterm', NO_COLOR: '1' })).out.includes('\u001b'), false);
  });

  describe('exits with', () => {
    const expectExit = async (args: readonly string[], code: number, message: RegExp, env: NodeJS.ProcessEnv = {}) => {
      const result = await run(args, env);
      assert.match(result.err, message);
      assert.equal(result.code, code);
      assert.equal(result.out, '');
      return result;
    };

    it('2 for a wrong command line', async () => {
      await expectExit(['bogus'], 2, /unknown command 'bogus'/);
      await expectExit(['services', '-o', 'yaml'], 2, /Allowed choices are table, json/);
      await expectExit(['service'], 2, /missing required argument 'service'/);
      await expectExit(
        ['service', 'a/b/c'],
        2,
        /expected NAMESPACE\/NAME or NAME -n NAMESPACE: current value is a\/b\/c/,
      );
      await expectExit(['--address', 'x', 'status'], 2, /expected unix:\/\/\/path or host:port: current value is "x"/);
      await expectExit(['--timeout', '0', 'status'], 2, /expected seconds above 0/);
      await expectExit([], 2, /Usage: tombolo/);
    });

    it('3 and one sentence for an agent that cannot be reached', async () => {
      const { err } = await expectExit(['status'], 3, /there is no such socket; is the agent running/, {
        TOMBOLO_ADDRESS: `unix://${api.folder}/none.sock`,
      });
      assert.equal(err.trim().split('\n').length, 1);
      const free = createServer().listen(0, '127.0.0.1');
      await once(free, 'listening');
      const { port } = free.address() as { port: number };
      await new Promise((resolve) => free.close(resolve));
      for (const command of [['services'], ['watch'], ['service', 'a/b'], ['clusters']]) {
        await expectExit(['--address', `127.0.0.1:${port}`, ...command], 3, /nothing listens there/);
      }
    });

    it('3 for an agent that does not answer in time', async () => {
      const mute = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
      api.onClose(() => mute.close());
      await once(mute, 'listening');
      const { port } = mute.address() as { port: number };
      for (const command of [['status'], ['watch']]) {
        const args = ['--address', `127.0.0.1:${port}`, '--timeout', '0.3', ...command];
        await expectExit(args, 3, /did not answer within 0\.3 s|Cannot reach the agent/);
      }
    });

    it('4 for a Service that does not exist', async () => {
      await expectExit(
        ['service', 'default/nope'],
        4,
        /^tombolo: Service default\/nope is not known to any cluster\n$/,
      );
    });

    it('0 for help and version', async () => {
      assert.equal((await run(['--version'])).out, '0.1.0\n');
      const { code, out } = await run(['watch', '--help']);
      assert.equal(code, 0);
      assert.match(out, /Examples:\n {2}tombolo watch\n/);
    });
  });
});
