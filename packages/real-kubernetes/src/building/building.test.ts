import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheNameOf } from './build-part.ts';
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
});
