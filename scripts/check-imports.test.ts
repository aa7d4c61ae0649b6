import assert from 'node:assert/strict';
import { breaches, importsOf } from './check-imports.ts';

const file = (path: string, text: string) => ({ path, text });

describe('breaches()', () => {
  for (const [name, source, expected] of [
    [
      'a model that imports merge',
      file('packages/shared/src/model/a.ts', "import x from '../merge/b.ts';"),
      /must not import/,
    ],
    [
      'a program that imports the other',
      file('packages/node-agent/src/a.ts', "import x from '@tombolo/clustermesh-apiserver/b.ts';"),
      /must not import/,
    ],
    [
      'etcd3 outside its room',
      file('packages/node-agent/src/a.ts', "import { Etcd3 } from 'etcd3';"),
      /etcd3 may be imported only in/,
    ],
    ['a clock in merge', file('packages/shared/src/merge/a.ts', 'const now = Date.now();'), /must not use Date.now/],
    [
      'Node in the model',
      file('packages/shared/src/model/a.ts', "import fs from 'node:fs';"),
      /must not import node:fs/,
    ],
    ['an exit outside main.ts', file('packages/cli/src/a.ts', 'process.exit(1);'), /only main.ts/],
    ['a signal heard once', file('packages/cli/src/not-main.ts', "process.once('SIGTERM', f);"), /only main.ts/],
    [
      'a package in merge',
      file('packages/shared/src/merge/a.ts', "import x from 'left-pad';"),
      /must not import left-pad/,
    ],
    [
      'a table that imports the mesh, for a type',
      file('packages/node-agent/src/table/a.ts', "import type { M } from '../mesh/mesh.ts';"),
      /table\/a.ts: must not import .*mesh\/mesh.ts/,
    ],
    [
      'a table that imports the datapath, while running',
      file('packages/node-agent/src/table/a.ts', "const d = await import('../datapath/open.ts');"),
      /must not import .*datapath\/open.ts/,
    ],
    [
      'a datapath that hands on what is of the table',
      file('packages/node-agent/src/datapath/ebpf/a.ts', "export { t } from '../../table/b.ts';"),
      /must not import .*table\/b.ts/,
    ],
    [
      'a mesh that imports the API',
      file('packages/node-agent/src/mesh/a.ts', "import { x } from '../api/b.ts';"),
      /must not import .*api\/b.ts/,
    ],
    [
      'an API definition that imports a program',
      file('proto/a.ts', "import { x } from '@tombolo/node-agent/config.ts';"),
      /must not import/,
    ],
    [
      'a product with a fixture in it',
      file('packages/cli/src/a.ts', "import { x } from './b.fixture.ts';"),
      /is for tests/,
    ],
    [
      'node:http imported, and not got',
      file('packages/cli/src/a.ts', "import { get } from 'node:http';"),
      /node-http.ts/,
    ],
  ] as const) {
    it(`finds ${name}`, () => {
      const found = breaches([source]);
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', expected);
    });
  }

  it('finds a cycle', () => {
    const found = breaches([
      file('packages/shared/src/model/a.ts', "import x from './b.ts';"),
      file('packages/shared/src/model/b.ts', "export { y } from './a.ts';"),
    ]);
    assert.equal(found.length, 1);
    assert.match(found[0] ?? '', /^cycle: /);
  });

  it('lets types of node:http be, and the seam between mesh and table', () => {
    assert.deepEqual(breaches([file('packages/cli/src/a.ts', "import type { Server } from 'node:http';")]), []);
    const seam = "import type { MeshListener } from '../mesh/listener.ts';";
    assert.deepEqual(breaches([file('packages/node-agent/src/table/a.ts', seam)]), []);
  });

  it('lets tests be', () => {
    assert.deepEqual(breaches([file('packages/shared/src/model/a.test.ts', "import x from '../merge/b.ts';")]), []);
  });
});

describe('importsOf()', () => {
  it('reads imports over several lines and of packages', () => {
    const text = "import {\n  a,\n  b,\n} from '@tombolo/shared/model/ip.ts';\nimport './side.ts';\n";
    assert.deepEqual(importsOf(file('scripts/x.ts', text)), ['packages/shared/src/model/ip.ts', 'scripts/side.ts']);
  });

  it('reads types, what is exported again, and what is imported while running', () => {
    const text = [
      "import type { A } from './a.ts';",
      "export { b } from './b.ts';",
      "export * from './c.ts';",
      "const d = await import('./d.ts');",
      "let e: import('./e.ts').E;",
      "import.meta.resolve('./f.ts');",
    ].join('\n');
    assert.deepEqual(
      importsOf(file('scripts/x.ts', text)),
      ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `scripts/${name}.ts`),
    );
  });
});
