import assert from 'node:assert/strict';
import { join } from 'node:path';
import { modulesLoadedBy } from '@tombolo/shared/process/loaded-modules.fixture.ts';

describe('node-agent/src/main.ts', () => {
  it('loads at start only what an agent needs that nobody asks anything', () => {
    const { files, packages, builtins } = modulesLoadedBy(join(import.meta.dirname, 'main.ts'), '--help');
    for (const name of ['@grpc/grpc-js', 'etcd3', 'prom-client', 'protobufjs', 'undici', 'yaml'])
      assert.ok(!packages.has(name), `${name} is loaded at start`);
    assert.ok(!builtins.some((name) => name.includes('undici')), 'node:http was imported, and not got');
    assert.ok(files.length < 320, `${files.length} files`);
  });
});
