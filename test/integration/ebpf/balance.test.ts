/** Which backend a connection gets, and that switching sets, restarts and crashes lose none. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Datapath } from '@tombolo/node-agent/datapath/datapath.ts';
import { layoutDirectory } from '@tombolo/node-agent/datapath/ebpf/layouts.ts';
import { openPinnedMaps } from '@tombolo/node-agent/datapath/ebpf/pinned-maps.ts';
import { recoverTables, routesOf } from '@tombolo/node-agent/datapath/ebpf/recovery.ts';
import type { FrontendRoute, RouteChanges } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';
import type { Logger } from '@tombolo/shared/process/logger.ts';
import { Rig } from './rig.ts';
import { only, route } from './routes.ts';

const FOUR = [1, 2, 3, 4].map((n) => `10.200.0.${n}:8080`);
const OBJECT = fileURLToPath(new URL('../../../packages/node-agent/build/socket-lb.bpf.o', import.meta.url));

/** Ids and generations of what is served, and what the kernel calls the attached programs. */
async function fingerprint(rig: Rig): Promise<unknown> {
  const maps = openPinnedMaps(layoutDirectory(rig.pinDir));
  assert.ok(maps);
  const tables = await recoverTables(maps);
  maps.close();
  return [[...tables.services.values()], routesOf(tables)];
}

describe('eBPF datapath: balance', () => {
  let rig: Rig;
  let datapath: Datapath | undefined;

  before(async () => {
    rig = Rig.create();
    await rig.serve(
      'tcp',
      FOUR.map((address, i) => `${address}=${i + 1}`),
    );
    await rig.serve(
      'udp',
      FOUR.map((address, i) => `${address}=${i + 1}`),
    );
  });
  beforeEach(async () => {
    datapath = await rig.open();
  });
  afterEach(async () => {
    await datapath?.destroy();
    datapath = undefined;
  });
  after(() => rig?.end());

  const set = async (...routes: readonly FrontendRoute[]): Promise<void> => {
    const report = await datapath?.replace(only(...routes));
    assert.deepEqual(report?.failures, []);
  };

  it('gives 4 equal backends 25 % of the connections each, within 5 points', async () => {
    await set(route('10.96.0.1:80', FOUR));
    const { failures, replies } = await rig.connect(['-n', '4000', '10.96.0.1:80']);
    assert.equal(failures, 0);
    for (const byte of [1, 2, 3, 4]) assert.ok(Math.abs((replies[byte] ?? 0) - 1000) <= 200, JSON.stringify(replies));
  });

  for (const [what, many] of [
    ['a small set', 1],
    ['a large one', 4],
  ] as const) {
    it(`gives a backend of three shares three times as much as one of one, in ${what}, also after the weights changed`, async () => {
      const shares = (...numbers: readonly number[]): FrontendRoute =>
        route(
          '10.96.0.1:80',
          numbers.flatMap((count, i) => Array.from({ length: count * many }, () => FOUR[i] ?? '')),
        );
      for (const [first, second] of [
        [3, 1],
        [1, 3],
      ] as const) {
        await datapath?.replace(only(shares(first, second)));
        assert.deepEqual(await datapath?.read(), [shares(first, second)]);
        assert.deepEqual(await datapath?.replace(only(shares(first, second))), { changed: 0, failures: [] });
        assert.equal(await datapath?.verify(), undefined);
        const { failures, replies } = await rig.connect(['-n', '4000', '10.96.0.1:80']);
        assert.deepEqual([failures, Object.keys(replies)], [0, ['1', '2']]);
        assert.ok(Math.abs((replies[1] ?? 0) - first * 1000) < 200, JSON.stringify(replies));
      }
    });
  }

  it('keeps a UDP socket at one backend, and sockets spread', async () => {
    await set(route('10.96.0.1:53', FOUR, { protocol: 'UDP' }));
    const seen = new Set<string>();
    for (let socket = 0; socket < 24; socket += 1) {
      const steps = Array.from({ length: 4 }, () => ['sendto=10.96.0.1:53', 'recv']).flat();
      const answers = new Set((await rig.script('udp4', steps)).filter((line) => line.startsWith('recv')));
      assert.equal(answers.size, 1, [...answers].join());
      for (const answer of answers) seen.add(answer);
    }
    assert.ok(seen.size > 1, [...seen].join());
  });

  it('keeps a network namespace at one backend with ClientIP affinity, until that is gone', async () => {
    await set(route('10.96.0.1:80', FOUR, { affinity: 600 }));
    const first = await rig.connect(['-n', '100', '10.96.0.1:80']);
    const [chosen = ''] = Object.keys(first.replies);
    assert.deepEqual(first.replies, { [chosen]: 100 });
    const left = FOUR.filter((_, i) => i + 1 !== Number(chosen));
    await set(route('10.96.0.1:80', left, { affinity: 600 }));
    const second = await rig.connect(['-n', '100', '10.96.0.1:80']);
    assert.equal(Object.keys(second.replies).length, 1);
    assert.ok(!(chosen in second.replies), `${chosen} is gone, got ${JSON.stringify(second.replies)}`);
    await set(route('10.96.0.1:80', left));
    assert.equal(Object.keys((await rig.connect(['-n', '100', '10.96.0.1:80'])).replies).length, 3);
  });

  it('ends affinity after its time without a connection', async () => {
    await set(route('10.96.0.1:80', FOUR, { affinity: 1 }));
    const seen = new Set<string>();
    for (let i = 0; i < 8 && seen.size < 2; i += 1) {
      for (const byte of Object.keys((await rig.connect(['-n', '5', '10.96.0.1:80'])).replies)) seen.add(byte);
      await new Promise((resolve) => setTimeout(resolve, 1050));
    }
    assert.ok(seen.size > 1, 'expected another backend after the timeout');
  });

  it('keeps affinity apart for each network namespace', async () => {
    await set(route('10.96.0.1:80', FOUR, { affinity: 600 }));
    const seen = new Set<string>();
    for (let i = 0; i < 6; i += 1) {
      const namespace = rig.addNamespace();
      await rig.serve(
        'tcp',
        FOUR.map((address, n) => `${address}=${n + 1}`),
        namespace,
      );
      const steps = ['connect=10.96.0.1:80', 'send', 'recv'];
      const mine = new Set([
        ...(await rig.script('tcp4', steps, namespace)),
        ...(await rig.script('tcp4', steps, namespace)),
      ]);
      assert.equal(mine.size, 3, [...mine].join());
      for (const line of mine) seen.add(line);
    }
    assert.ok(seen.size > 3, [...seen].join());
  });

  it('loses no connection while sets are switched, services come and go', async () => {
    await set(route('10.96.0.1:80', FOUR));
    const load = rig.connectOn(['-t', '2', '10.96.0.1:80']);
    let changed = 0;
    for (let i = 0; i < 400; i += 1) {
      const some = FOUR.filter((_, n) => n === i % 4 || (i >> n) % 2 === 1);
      const web = route('10.96.0.1:80', some, { affinity: i % 5 === 0 ? 60 : 0 });
      const others: RouteChanges = new Map(
        [1, 2, 3].map((n) => {
          const other = route(`10.96.1.${n}:80`, [`10.200.1.${(i + n) % 250}:80`]);
          return [frontendId(other.frontend), (i + n) % 3 === 0 ? undefined : other];
        }),
      );
      const report = await datapath?.apply(new Map([...only(web), ...others]));
      assert.deepEqual(report?.failures, []);
      changed += report?.changed ?? 0;
    }
    const { connections, failures, errors } = await load.finish();
    assert.deepEqual([failures, errors], [0, {}]);
    assert.ok(connections > 100 && changed > 400, `${connections} connections, ${changed} changes`);
  });

  it('survives kill -9: traffic goes on, and the next agent adopts everything', async () => {
    await datapath?.destroy();
    const agent = spawn(
      process.execPath,
      [join(import.meta.dirname, 'agent.ts'), rig.pinDir, rig.cgroup, '10.96.0.1:80', ...FOUR],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(agent.stdout, 'data');
    const load = rig.connectOn(['10.96.0.1:80']);
    const before = await fingerprint(rig);
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    assert.equal((await rig.connect(['-n', '200', '10.96.0.1:80'])).failures, 0);

    const outcomes: unknown[] = [];
    datapath = await rig.open({ log: recording(outcomes) });
    assert.deepEqual(outcomes, ['adopted']);
    assert.deepEqual(
      (await datapath.read()).map(({ backends }) => backends.length),
      [4],
    );
    const report = await datapath.replace(only(route('10.96.0.1:80', FOUR)));
    assert.deepEqual(report, { changed: 0, failures: [] });
    assert.deepEqual(await fingerprint(rig), before);
    const { connections, failures } = await load.finish();
    assert.ok(connections > 100 && failures === 0, `${failures} of ${connections}`);
  });

  it('loads its programs under a profiler, whose signals interrupt', async () => {
    await datapath?.destroy();
    const profiler = ['--cpu-prof', '--cpu-prof-interval', '200', `--cpu-prof-dir=${rig.directory}`];
    const args = [join(import.meta.dirname, 'agent.ts'), rig.pinDir, rig.cgroup, '10.96.0.1:80', ...FOUR];
    const agent = spawn(process.execPath, [...profiler, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    agent.stderr.on('data', (part) => said.push(String(part)));
    const first = await Promise.race([once(agent.stdout, 'data'), once(agent, 'exit')]);
    agent.kill('SIGKILL');
    assert.equal(String(first[0]), 'ready\n', said.join('').slice(0, 300));
    await once(agent, 'exit');
    datapath = await rig.open();
  });

  it('takes in another object without losing a connection', async () => {
    await set(route('10.96.0.1:80', FOUR));
    const load = rig.connectOn(['10.96.0.1:80']);
    await datapath?.close();
    const objectPath = join(rig.directory, 'other.o');
    copyFileSync(OBJECT, objectPath);
    appendFileSync(objectPath, 'another build');
    for (let i = 0; i < 10; i += 1) {
      const outcomes: unknown[] = [];
      datapath = await rig.open({ objectPath: i % 2 === 0 ? objectPath : OBJECT, log: recording(outcomes) });
      assert.deepEqual(outcomes, ['replaced']);
      assert.equal((await datapath.read()).length, 1);
      if (i < 9) await datapath.close();
    }
    const { connections, failures } = await load.finish();
    assert.ok(connections > 100 && failures === 0, `${failures} of ${connections}`);
  });

  it('refuses a second writer', async () => {
    await assert.rejects(rig.open(), /another process holds/);
  });

  it('leaves nothing behind when destroyed', async () => {
    await set(route('10.96.0.1:80', FOUR));
    assert.ok(existsSync(join(layoutDirectory(rig.pinDir), 'link_connect4')));
    await datapath?.destroy();
    datapath = undefined;
    assert.equal(existsSync(rig.pinDir), false);
    assert.deepEqual(
      readdirSync(rig.directory).filter((name) => name === 'bpf'),
      [],
    );
    assert.equal((await rig.connect(['-n', '3', '10.96.0.1:80'])).failures, 3);
  });
});

function recording(outcomes: unknown[]): Logger {
  const ignore = (): void => {};
  const log: Logger = {
    debug: ignore,
    info: (fields) => void outcomes.push(fields['outcome']),
    warn: ignore,
    error: ignore,
    child: () => log,
  };
  return log;
}
