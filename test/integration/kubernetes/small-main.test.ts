/** The small API server as a program: prints its URL, stops on SIGTERM, and stays off networks with a way out. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const MAIN = join(import.meta.dirname, '../../../packages/small-kubernetes/src/api/main.ts');
const ADDRESS = '10.77.0.1';

describe('small-kubernetes/src/api/main.ts', () => {
  const children: ChildProcess[] = [];

  function start(command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    return child;
  }

  /** In a network namespace of its own that ends with the process. */
  function startIsolated(extra: string) {
    const script = `ip link set lo up && ip addr add ${ADDRESS}/32 dev lo && ${extra} exec "$0" "$@"`;
    return start('unshare', ['--net', 'sh', '-c', script, process.execPath, MAIN, '--host', ADDRESS, '--port', '0']);
  }

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  });

  it('prints its URL when it serves, and stops on SIGTERM with watches open', async () => {
    const child = start(process.execPath, [MAIN, '--port', '0', '--service-cidr', '10.50.0.0/24,fd00::/112']);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const url = line.toString().trim();
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const watch = await fetch(`${url}/api/v1/pods?watch=true`);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
    await watch.text();
  });

  it('serves an address that is not loopback where there is no default route', async () => {
    const child = startIsolated('');
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    assert.match(line.toString(), new RegExp(`^http://${ADDRESS}:\\d+`));
  });

  it('refuses it where there is one', async () => {
    const child = startIsolated('ip route add default dev lo &&');
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.equal(code, 1);
    assert.match(stderr, /expected a loopback address, or a network namespace without default route/);
  });

  it('says what is wrong with its flags', async () => {
    const child = start(process.execPath, [MAIN, '--port', '0', '--service-cidr', '10.96.0.1/16']);
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot use prefix: expected no bits set beyond the prefix length/);
  });
});
