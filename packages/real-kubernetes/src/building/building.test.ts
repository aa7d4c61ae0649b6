import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheNameOf } from './build-part.ts';
import { kubernetesBinaries } from './built.ts';
import { isAtLeast } from './go.ts';
import { CONTAINERD_PART, KUBERNETES_VERSIONS, kubernetesPart, testsPart } from './parts.ts';
import { elapsed } from './progress.ts';

describe('cacheNameOf()', () => {
  it('names each part by its version and sources', async () => {
    assert.match(await cacheNameOf(CONTAINERD_PART), /^containerd-v\d+\.\d+\.\d+-[0-9a-f]{12}$/);
    for (const version of KUBERNETES_VERSIONS)
      assert.match(
        await cacheNameOf(kubernetesPart(version)),
        new RegExp(`^kubernetes-${version}-v${version}\\.\\d+-`),
      );
  });

  it('is another for programs and tests, and for each version', async () => {
    const parts = KUBERNETES_VERSIONS.flatMap((version) => [kubernetesPart(version), testsPart(version)]);
    assert.equal(new Set(await Promise.all(parts.map(cacheNameOf))).size, parts.length);
  });
});

describe('isAtLeast()', () => {
  for (const [version, needed, holds] of [
    ['1.26.8', '1.26', true],
    ['1.27.0', '1.26', true],
    ['1.9.9', '1.26', false],
    ['2.0', '1.26', true],
    ['1.26rc1', '1.26', true],
    ['', '2.0', false],
  ] as const)
    it(`${version || 'nothing'} ${holds ? 'is' : 'is not'} at least ${needed}`, () =>
      assert.equal(isAtLeast(version, needed), holds));
});

describe('elapsed()', () => {
  it('is in minutes when there are any', () => {
    assert.equal(elapsed(4400), '4 s');
    assert.equal(elapsed(125_000), '2 min 5 s');
  });
});

describe('makeOnce()', () => {
  const room = mkdtempSync(join(tmpdir(), 'tbl-cache-'));
  before(() => {
    process.env['XDG_CACHE_HOME'] = room;
  });
  after(() => rmSync(room, { recursive: true }));

  it('makes a directory once, whole or not at all', async () => {
    // The place of the cache is settled when the module is loaded.
    const { makeOnce, cached } = (await import(`./cache.ts?${room}`)) as typeof import('./cache.ts');
    let made = 0;
    const make = async (directory: string): Promise<void> => {
      made++;
      assert.ok(existsSync(directory));
      await new Promise((resolve) => setImmediate(resolve));
    };
    const failing = async (): Promise<void> => Promise.reject(new Error('half-way'));
    await assert.rejects(makeOnce('part', failing), /half-way/);
    assert.equal(cached('part'), undefined);
    const [one, two] = await Promise.all([makeOnce('part', make), makeOnce('part', make)]);
    assert.deepEqual([one, two, made], [join(room, 'tombolo/kubernetes/part'), one, 1]);
  });

  it('takes over from a run that was killed half-way', async () => {
    const { makeOnce } = (await import(`./cache.ts?${room}`)) as typeof import('./cache.ts');
    const module = JSON.stringify(join(import.meta.dirname, 'cache.ts'));
    const script = `
      const { makeOnce } = await import(${module});
      await makeOnce('killed', async () => {
        console.log('at it');
        await new Promise((resolve) => setTimeout(resolve, 600_000));
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, XDG_CACHE_HOME: room },
    });
    await once(child.stdout, 'data');
    let waited = 0;
    const directory = makeOnce(
      'killed',
      async (draft) => writeFileSync(join(draft, 'whole'), ''),
      () => {
        waited++;
        child.kill('SIGKILL');
      },
    );
    assert.deepEqual([existsSync(join(await directory, 'whole')), waited], [true, 1]);
  });
});

describe('kubernetesBinaries()', () => {
  const NAMES = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl'];
  const room = mkdtempSync(join(tmpdir(), 'tbl-binaries-'));
  const before = process.env['TOMBOLO_KUBERNETES_BINARIES'];
  const put = (name: string, says: string): void =>
    writeFileSync(join(room, name), `#!/bin/sh\necho '${says}'\n`, { mode: 0o755 });

  after(() => {
    if (before === undefined) delete process.env['TOMBOLO_KUBERNETES_BINARIES'];
    else process.env['TOMBOLO_KUBERNETES_BINARIES'] = before;
    rmSync(room, { recursive: true });
  });

  it('takes programs that the user names, and says which of them will not do', async () => {
    process.env['TOMBOLO_KUBERNETES_BINARIES'] = room;
    for (const name of [...NAMES, 'etcd', 'containerd-shim-runc-v2', 'ctr', 'coredns']) put(name, 'mine');
    put('containerd', 'containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1');
    await assert.rejects(kubernetesBinaries('1.37'), /containerd: expected containerd 2.0 or newer: .*1\.6\.20/);
    put('containerd', 'containerd github.com/containerd/containerd/v2 v2.1.0 abc');
    const binaries = await kubernetesBinaries('1.34');
    for (const path of Object.values(binaries)) assert.ok(path.startsWith(room), path);
  });

  it('says what is wrong with a version or a directory', async () => {
    await assert.rejects(kubernetesBinaries('1.12'), /expected a version of 1\.37,1\.34: current value is '1\.12'/);
    process.env['TOMBOLO_KUBERNETES_BINARIES'] = join(room, 'absent');
    await assert.rejects(kubernetesBinaries(), /TOMBOLO_KUBERNETES_BINARIES: expected a directory: .*absent/);
  });
});
