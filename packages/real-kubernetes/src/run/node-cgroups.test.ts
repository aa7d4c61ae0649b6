import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { handDownControllers } from './node-cgroups.ts';

describe('handDownControllers()', () => {
  let mount: string;
  const control = (path: string): string => join(mount, path, 'cgroup.subtree_control');

  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), 'tbl-cgroup-'));
    mkdirSync(join(mount, 'mesh/east/east-1'), { recursive: true });
  });
  afterEach(() => rmSync(mount, { recursive: true }));

  it('lets every group on the way have what the root has, where there is version 2 alone', async () => {
    writeFileSync(join(mount, 'cgroup.controllers'), 'cpu memory pids\n');
    await handDownControllers(mount, '/mesh/east/east-1');
    for (const path of ['', 'mesh', 'mesh/east', 'mesh/east/east-1'])
      assert.equal(readFileSync(control(path), 'utf8'), '+cpu +memory +pids', path);
  });

  it('touches nothing where version 1 has the controllers', async () => {
    writeFileSync(join(mount, 'cgroup.controllers'), '\n');
    await handDownControllers(mount, '/mesh/east/east-1');
    assert.equal(existsSync(control('')), false);
  });
});
