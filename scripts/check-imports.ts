/**
 * The rules of ARCHITECTURE.md about who may import what, as code. Prints each breach and exits 1; part of `verify`.
 *
 * R1. Rooms: model ← merge, wire ← etcd, kubernetes ← the programs; the two programs never import each other, nor do the
 *     rooms of the agent. An import of a type, one made while running, and `export … from` count as any other.
 * R2. Each third-party client has one room that imports it.
 * R3. Pure rooms import nothing of Node and no packages, and read no clock, timer or randomness.
 * R4. `process.exit` and signals only in main.ts.
 * R5. No cycles.
 * R6. The product imports nothing that is for tests.
 * R7. `node:http` is got, not imported: see process/node-http.ts.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

const SHARED = 'packages/shared/src/';
const AGENT = 'packages/node-agent/src/';
const APISERVER = 'packages/clustermesh-apiserver/src/';

/** Folder → folders and files it may import from, besides itself. Of folders that hold each other, the inner first. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  [`${SHARED}model/`]: [],
  [`${SHARED}merge/`]: [`${SHARED}model/`],
  [`${SHARED}wire/`]: [`${SHARED}model/`],
  [`${SHARED}process/`]: [`${SHARED}model/`],
  [`${SHARED}etcd/`]: [`${SHARED}model/`, `${SHARED}process/`],
  [`${SHARED}kubernetes/`]: [`${SHARED}model/`, `${SHARED}process/`],
  [APISERVER]: [SHARED],
  [`${AGENT}mesh/`]: [SHARED],
  [`${AGENT}table/`]: [SHARED, `${AGENT}mesh/listener.ts`],
  [`${AGENT}datapath/`]: [SHARED],
  [`${AGENT}announce/`]: [
    ...[SHARED, `${AGENT}persist.ts`],
    // How programs get into the kernel, and what its interfaces are.
    ...[
      'netlink/',
      'sockets/inet-diag.ts',
      'ebpf/bpf-calls.ts',
      'ebpf/libbpf.ts',
      'ebpf/syscall.ts',
      'ebpf/layout.ts',
      'ebpf/packets/',
    ].map((part) => `${AGENT}datapath/${part}`),
  ],
  [`${AGENT}closing/`]: [SHARED, `${AGENT}datapath/sockets/`],
  [`${AGENT}health/`]: [SHARED, `${AGENT}persist.ts`],
  [`${AGENT}api/`]: [SHARED, 'proto/', `${AGENT}announce/announcements.ts`],
  [AGENT]: [SHARED, 'proto/'],
  'proto/': [`${SHARED}model/`],
  'packages/cli/src/': [SHARED, 'proto/'],
  'packages/machine/src/': [],
  'packages/small-kubernetes/src/': [SHARED, 'packages/machine/src/'],
  'packages/real-kubernetes/src/': ['packages/machine/src/'],
  'packages/lab/src/': ['packages/', 'proto/', 'test/bench/'],
};

const CLIENT_ROOMS: Readonly<Record<string, readonly string[]>> = {
  etcd3: [`${SHARED}etcd/`],
  '@kubernetes/client-node': [`${SHARED}kubernetes/`],
  '@grpc/grpc-js': [`${AGENT}api/`, 'packages/cli/src/', `${SHARED}etcd/`],
  koffi: [`${AGENT}datapath/`, `${AGENT}announce/`],
};

const PURE = [`${SHARED}model/`, `${SHARED}merge/`, `${SHARED}wire/`];
const IMPURE = /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|performance\.now)\b/;

const isProduct = (path: string): boolean =>
  /^(packages\/(shared|node-agent|clustermesh-apiserver|cli)|proto)\//.test(path);
const isTest = (path: string): boolean => /\.(test|fixture)\.ts$/.test(path);

/** One sentence for each breach. */
export function breaches(sources: readonly Source[]): readonly string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const source of sources) {
    const imports = importsOf(source);
    graph.set(
      source.path,
      imports.filter((name) => name.includes('/') && name.endsWith('.ts')),
    );
    if (isTest(source.path)) continue;
    found.push(...roomBreaches(source.path, imports), ...purityBreaches(source, imports));
    if (isProduct(source.path)) found.push(...productBreaches(source, imports));
  }
  return [...found, ...cycles(graph)];
}

const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport(?:\.meta\.resolve)?\(\s*'([^']+)'/gm;

/** Repository paths for our own files, names for everything else. Imports of types count, and those made while running. */
export function importsOf({ path, text }: Source): readonly string[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    if (name.startsWith('.')) return normalize(join(dirname(path), name));
    return name.replace(/^@tombolo\/proto\//, 'proto/').replace(/^@tombolo\/([^/]+)\//, 'packages/$1/src/');
  });
}

function roomBreaches(path: string, imports: readonly string[]): readonly string[] {
  const room = Object.keys(MAY_IMPORT).find((folder) => path.startsWith(folder));
  return imports.flatMap((name) => {
    const client = Object.keys(CLIENT_ROOMS).find((each) => name === each || name.startsWith(`${each}/`));
    const rooms = client ? (CLIENT_ROOMS[client] ?? []) : [];
    if (client && isProduct(path) && !rooms.some((each) => path.startsWith(each)))
      return [`${path}: ${client} may be imported only in ${rooms.join(', ')}`];
    if (!room || !name.endsWith('.ts') || !name.includes('/')) return [];
    const allowed = [room, ...(MAY_IMPORT[room] ?? [])];
    return allowed.some((folder) => name.startsWith(folder)) ? [] : [`${path}: must not import ${name}`];
  });
}

function productBreaches({ path, text }: Source, imports: readonly string[]): readonly string[] {
  const found = imports
    .filter(isTest)
    .map((name) => `${path}: is of the product and must not import ${name}, which is for tests`);
  if (/\bprocess\s*\.(exit|on|once|addListener)\(/.test(text) && !path.endsWith('/main.ts'))
    found.push(`${path}: only main.ts may handle signals or exit`);
  if (/^\s*import\s+(?!type\b)[^'";]*'(node:)?http'/m.test(text))
    found.push(`${path}: must get node:http from process/node-http.ts`);
  return found;
}

function purityBreaches({ path, text }: Source, imports: readonly string[]): readonly string[] {
  if (!PURE.some((folder) => path.startsWith(folder))) return [];
  const node = imports
    .filter((name) => !name.endsWith('.ts'))
    .map((name) => `${path}: is pure and must not import ${name}`);
  const impure = IMPURE.exec(text.replace(/^\s*(\*|\/\/|\/\*).*$/gm, ''));
  return impure ? [...node, `${path}: is pure and must not use ${impure[0]}`] : node;
}

function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push(`cycle: ${[...trail.slice(at), path].join(' → ')}`);
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

function main(): void {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const paths = globSync(['{packages/*/src,proto,scripts,test}/**/*.ts'], {
    cwd: root,
    exclude: ['**/node_modules/**'],
  }).sort();
  const found = breaches(paths.map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })));
  for (const breach of found) console.error(breach);
  console.log(`${paths.length} files, ${found.length} breaches of the import rules`);
  process.exitCode = found.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
