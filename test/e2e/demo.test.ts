/** The demo as a newcomer runs it: it shows what it claims, can be interrupted, kept and run again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { tryCommand } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { listNetns } from '@tombolo/machine/netns.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';

const places = meshPlaces(meshName('tdemo'));
const script = (name: string) => join(REPOSITORY, 'scripts', name);
const DEMO = [script('demo'), '--mesh', places.name];

async function leftovers(): Promise<readonly string[]> {
  const cgroup = `${await cgroup2Mount()}/${places.cgroupName}`;
  const paths = [places.directory, places.stateFile, cgroup].filter((path) => existsSync(path));
  return [...(await listNetns(places.netnsPrefix)), ...paths];
}

/** Resolves as soon as the text was printed. */
function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk;
      if (seen.includes(text)) resolve();
    });
    child.once('exit', (code) =>
      reject(new Error(`Cannot see '${text}': the demo ended with ${code} after:\n${seen}`)),
    );
  });
}

describe('scripts/demo', () => {
  afterEach(() => removeMesh(places));

  for (const kubernetes of ['small', 'real'])
    it(`--check holds all it claims on the ${kubernetes} Kubernetes, and leaves nothing behind`, async () => {
      const { code, stdout, stderr } = await tryCommand([...DEMO, '--check', `--kubernetes=${kubernetes}`]);
      assert.equal(code, 0, stdout + stderr);
      assert.doesNotMatch(stdout, /✗/);
      assert.equal(stdout.match(/not one request failed/g)?.length, 3);
      assert.deepEqual(await leftovers(), []);
    });

  it('takes all down on Ctrl-C in the middle of the story', async () => {
    const [file = '', ...args] = DEMO;
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await printed(child, 'Make it global');
    child.kill('SIGINT');
    assert.equal(await ended, 130);
    assert.deepEqual(await leftovers(), []);
  });

  it('--keep leaves it running for kubectl, tombolo and scripts/dev, until --down', async () => {
    const kept = await tryCommand([...DEMO, '--check', '--keep']);
    assert.equal(kept.code, 0, kept.stdout + kept.stderr);
    const told = (name: string) =>
      new RegExp(`export ${name}=(\\S+)\n(?!.*export ${name})`, 's').exec(kept.stdout)?.[1] ?? '';
    const env = { KUBECONFIG: told('KUBECONFIG'), TOMBOLO_ADDRESS: told('TOMBOLO_ADDRESS') };
    const services = await tryCommand(['kubectl', '--context', 'west', 'get', 'services'], { env });
    assert.match(services.stdout, /web\s+ClusterIP/, services.stderr);
    const table = await tryCommand([script('tombolo'), 'service', 'default/web'], { env });
    assert.match(table.stdout, /default\/web: global/, table.stderr);
    const exec = await tryCommand([
      script('dev'),
      '-m',
      places.name,
      'exec',
      'east',
      'client',
      '--',
      'curl',
      '-sS',
      'http://10.96.0.1/',
    ]);
    assert.match(exec.stdout, /^west\/west-\d\/web-/, exec.stderr);
    const node = await tryCommand([script('dev'), '-m', places.name, 'node', 'west-2', '--', 'ip', '-br', 'address']);
    assert.match(node.stdout, /10\.0\.2\.2\/16/, node.stderr);
    assert.equal((await tryCommand([...DEMO, '--down'])).code, 0);
    assert.deepEqual(await leftovers(), []);
  });
});
