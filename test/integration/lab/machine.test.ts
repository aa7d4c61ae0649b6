/** The primitives under a mesh, on the real kernel: namespaces, control groups, programs, and their removal. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroup2Mount, cgroupProcesses, createCgroup } from '@tombolo/machine/cgroup.ts';
import { command, tryCommand } from '@tombolo/machine/command.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { createNetns, listNetns } from '@tombolo/machine/netns.ts';
import { readState, startTimeOf, thisProcess, writeState } from '@tombolo/machine/owner.ts';
import { Program } from '@tombolo/machine/program.ts';
import { removeMesh, sweepAbandoned } from '@tombolo/machine/sweep.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';

const places = meshPlaces(meshName('tmachine'));
const netns = `${places.netnsPrefix}one`;

describe('lab machine', () => {
  let cgroup: string;

  before(async () => {
    await removeMesh(places);
    cgroup = await createCgroup(join(await cgroup2Mount(), places.cgroupName));
  });
  afterEach(() => removeMesh(places));
  beforeEach(async () => {
    await writeState(places, { owner: await thisProcess(), plan: undefined });
    await createCgroup(cgroup);
    await createNetns([netns]);
  });

  function sleeper(name = 'sleeper', argv: readonly string[] = ['sleep', '600']): Program {
    return new Program({
      name,
      argv,
      netns,
      cgroup: join(cgroup, name),
      logFile: join(places.directory, `${name}.log`),
    });
  }

  it('command() runs in the namespace and cgroup that it is told, and sees the machine’s cgroups there', async () => {
    const links = await command(['ip', '-br', 'link'], { netns, cgroup });
    assert.match(links, /^lo /m);
    assert.doesNotMatch(links, /eth0/);
    assert.equal(
      (await command(['grep', '^0::', '/proc/self/cgroup'], { netns, cgroup })).trim(),
      `0::/${places.cgroupName}`,
    );
    assert.ok(await command(['ls', cgroup], { netns }));
  });

  it('tryCommand() tells exit codes, output and running out of time', async () => {
    assert.deepEqual(await tryCommand(['sh', '-c', 'cat; echo no >&2; exit 3'], { input: 'in' }), {
      code: 3,
      stdout: 'in',
      stderr: 'no\n',
    });
    assert.equal((await tryCommand(['sleep', '600'], { timeoutMs: 20 })).code, 124);
    const family = ['sh', '-c', 'sleep 600; true']; // The sleep holds the pipes open after its parent is gone.
    assert.equal((await tryCommand(family, { timeoutMs: 20 })).code, 124);
    assert.equal((await tryCommand(family, { signal: AbortSignal.timeout(20) })).code, 137);
    await assert.rejects(command(['false']), /Cannot run 'false': expected exit code 0: current value is 1/);
    await assert.rejects(tryCommand(['/no/such/program']), /Cannot run '\/no\/such\/program'/);
  });

  it('Program keeps its process id from the start, logs, stops, and starts again', async () => {
    const program = sleeper('talker', ['sh', '-c', 'echo up; exec sleep 600']);
    await program.start();
    const first = program.pid;
    await waitUntil('its first line', async () => (await program.log()).includes('up'));
    assert.deepEqual(await cgroupProcesses(program.spec.cgroup), [first]);
    assert.deepEqual(await program.stop(), { code: null, signal: 'SIGTERM' });
    assert.equal(program.running, false);
    await program.start();
    assert.notEqual(program.pid, first);
  });

  it('Program.kill() ends its children too, even those that ignore SIGTERM', async () => {
    const program = sleeper('parent', ['sh', '-c', 'trap "" TERM; sleep 600 & sleep 600 & wait']);
    await program.start();
    await waitUntil('three processes', async () => (await cgroupProcesses(program.spec.cgroup)).length === 3);
    await program.kill();
    assert.deepEqual(await cgroupProcesses(program.spec.cgroup), []);
  });

  it('Program.stop() kills what does not end in its grace period', async () => {
    const program = sleeper('deaf', ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 1; done']);
    await program.start();
    await waitUntil('its trap', async () => (await program.log()).includes('up'));
    assert.deepEqual(await program.stop(50), { code: null, signal: 'SIGKILL' });
  });

  it('removeMesh() removes processes, groups, mounts, files and namespaces, and may be repeated', async () => {
    await sleeper().start();
    await mkdir(join(places.directory, 'mnt'), { recursive: true });
    await command(['mount', '-t', 'tmpfs', 'tombolo-dev', places.directory]);
    await mkdir(join(places.directory, 'bpf'));
    await command(['mount', '-t', 'bpf', 'bpf', join(places.directory, 'bpf')]);
    await removeMesh(places);
    assert.deepEqual(await listNetns(places.netnsPrefix), []);
    for (const path of [cgroup, places.directory, places.stateFile]) assert.equal(existsSync(path), false, path);
    await removeMesh(places);
  });

  it('sweepAbandoned() takes the mesh of a dead owner and leaves those of living ones and kept ones', async () => {
    assert.ok(!(await sweepAbandoned()).includes(places.name), 'owned by this process');
    await writeState(places, { owner: undefined, plan: 'kept' });
    assert.ok(!(await sweepAbandoned()).includes(places.name), 'kept');
    assert.deepEqual(await readState(places), { owner: undefined, plan: 'kept' });
    const other = spawn('sleep', ['600']);
    const startTime = (await startTimeOf(other.pid ?? 0)) ?? '';
    other.kill('SIGKILL');
    await new Promise((resolve) => other.once('exit', resolve));
    await writeState(places, { owner: { pid: other.pid ?? 0, startTime }, plan: undefined });
    assert.ok((await sweepAbandoned()).includes(places.name), 'dead');
    assert.deepEqual(await listNetns(places.netnsPrefix), []);
  });

  it('sweepAbandoned() is not fooled by a process id that is used again', async () => {
    await writeState(places, { owner: { pid: process.pid, startTime: '1' }, plan: undefined });
    assert.ok((await sweepAbandoned()).includes(places.name));
  });
});
