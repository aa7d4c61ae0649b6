/**
 * Reads every `.proto` file of a folder with protobufjs. One root with field names as JavaScript has them (for types
 * and codecs), one as the files have them (for reflection). Build time only.
 */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';

export interface ProtoFile {
  /** Relative to the folder, e.g. `tombolo/v1/agent.proto`. */
  readonly name: string;
  readonly package: string;
  readonly imports: readonly string[];
}

export interface ParsedProtos {
  readonly camel: protobuf.Root;
  readonly snake: protobuf.Root;
  /** Sorted by name. */
  readonly files: readonly ProtoFile[];
}

export function parseProtos(folder: string): ParsedProtos {
  const names = globSync('**/*.proto', { cwd: folder, exclude: ['node_modules/**'] }).sort();
  return {
    camel: load(folder, names, false),
    snake: load(folder, names, true),
    files: names.map((name) => readFile(folder, name)),
  };
}

function load(folder: string, names: readonly string[], keepCase: boolean): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => path.join(folder, path.relative(folder, path.resolve(folder, target)));
  root.loadSync([...names], { keepCase, alternateCommentMode: true });
  root.resolveAll();
  return root;
}

function readFile(folder: string, name: string): ProtoFile {
  const text = readFileSync(path.join(folder, name), 'utf8');
  const parsed = protobuf.parse(text);
  if (!parsed.package) throw new Error(`Cannot use ${name}: expected a package: current value is absent`);
  return { name, package: parsed.package, imports: parsed.imports ?? [] };
}

/** The namespace's own types, enums and services, in the order of their file. */
export function declaredIn(root: protobuf.Root, file: ProtoFile): readonly protobuf.ReflectionObject[] {
  const namespace = root.lookup(file.package);
  if (!(namespace instanceof protobuf.Namespace)) throw new Error(`Cannot find package ${file.package}`);
  return namespace.nestedArray.filter((object) => object.filename?.endsWith(file.name));
}
