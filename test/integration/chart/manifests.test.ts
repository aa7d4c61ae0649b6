import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { helmBinary } from '@tombolo/real-kubernetes/building/built.ts';
import { parseManifests } from './helm.ts';
import { violations } from './invariants.ts';

const SCRIPT = fileURLToPath(new URL('../../../scripts/manifests', import.meta.url));
const KEPT = fileURLToPath(new URL('../../../deploy/kubernetes', import.meta.url));
const FILES = ['tombolo.yaml', 'uninstall/daemonset.yaml'];

describe('the plain manifests', () => {
  let directory: string | undefined;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-manifests-'));
    execFileSync(SCRIPT, [directory], { env: { ...process.env, HELM: await helmBinary() } });
  });
  after(async () => {
    if (directory) await rm(directory, { recursive: true });
  });

  for (const file of FILES) {
    it(`are what scripts/manifests makes of the chart: ${file}`, async () => {
      const [made, kept] = await Promise.all([directory ?? '', KEPT].map((each) => readFile(join(each, file), 'utf8')));
      assert.equal(kept, made, 'run scripts/manifests');
    });
  }

  it('have no keys in them, and nothing that only Helm reads', async () => {
    for (const file of FILES) {
      const text = await readFile(join(KEPT, file), 'utf8');
      assert.doesNotMatch(text, /LS0tLS1CRUdJTi|BEGIN |helm/i, file);
      assert.deepEqual(violations(parseManifests(text), { privileged: false }), [], file);
    }
  });
});
