import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { emitObject } from './emit-types.ts';
import { generate } from './generate.ts';
import { FILE_DESCRIPTORS } from './generated/tombolo-v1.ts';

const emit = (source: string, name: string): string => {
  const root = protobuf.parse(`syntax = "proto3"; package p; ${source}`, { alternateCommentMode: true }).root;
  root.resolveAll();
  return emitObject(root.lookup(`p.${name}`) ?? assert.fail());
};

describe('generate()', () => {
  it('gives what is checked in; if this fails, run `npm run proto`', () => {
    const checkedIn = readFileSync(path.join(import.meta.dirname, 'generated', 'tombolo-v1.ts'), 'utf8');
    assert.ok(generate() === checkedIn, 'proto/generated/tombolo-v1.ts is not what the .proto files say');
  });

  it('gives something else when a .proto file changes', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tbl-proto-'));
    try {
      const write = (field: string) =>
        writeFileSync(
          path.join(folder, 'a.proto'),
          `syntax = "proto3"; package a; import "google/protobuf/timestamp.proto";
          message M { google.protobuf.Timestamp at = 1; ${field} }`,
        );
      write('');
      const before = generate(folder);
      write('string name = 2;');
      assert.notEqual(generate(folder), before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('describes each file with its imports and the names of its fields', () => {
    const { FileDescriptorProto } = descriptor;
    const files = FILE_DESCRIPTORS.map((text) =>
      FileDescriptorProto.toObject(FileDescriptorProto.decode(Buffer.from(text, 'base64'))),
    );
    const names = files.map(({ name }) => name);
    assert.deepEqual(names, [
      'google/protobuf/timestamp.proto',
      'tombolo/v1/agent.proto',
      'tombolo/v1/announcements.proto',
      'tombolo/v1/clusters.proto',
      'tombolo/v1/services.proto',
    ]);
    for (const { dependency = [] } of files) for (const name of dependency) assert.ok(names.includes(name), name);
    assert.match(JSON.stringify(files), /"name":"port_names"/);
    assert.match(JSON.stringify(files), /"typeName":"\.google\.protobuf\.Timestamp"/);
  });
});

describe('emitObject()', () => {
  it('writes a message with its comments', () => {
    const source = `
      // What it is.
      message M {
        // In seconds.
        uint32 age = 1;
        repeated string port_names = 2;
        N inner = 3;
      }
      message N {}`;
    assert.equal(
      emit(source, 'M'),
      `/** What it is. */
export interface M {
  /** In seconds. */
  readonly age: number;
  readonly portNames: readonly string[];
  readonly inner: N | null;
}
`,
    );
  });

  it('writes a oneof as a union that also allows what is not known yet', () => {
    const text = emit('message M { int64 revision = 1; oneof event { string gone = 2; M again = 3; } }', 'M');
    assert.match(text, /interface MFields \{\n {2}readonly revision: number;\n\}/);
    assert.match(text, /\| \{ readonly event: 'gone'; readonly gone: string \}/);
    assert.match(text, /\| \{ readonly event: 'again'; readonly again: M \}/);
    assert.match(text, /\| \{ readonly event\?: never \}/);
  });

  it('refuses what it cannot write', () => {
    assert.throws(() => emit('message M { map<string, string> m = 1; }', 'M'), /maps are not supported/);
    assert.throws(
      () => emit('message M { oneof a { string b = 1; } oneof c { string d = 2; } }', 'M'),
      /more than one oneof/,
    );
    assert.throws(() => emit('message M { message N {} }', 'M'), /nested types are not supported/);
    assert.throws(() => emit('message M {} service S { rpc A(stream M) returns (M); }', 'S'), /request streams/);
  });
});
