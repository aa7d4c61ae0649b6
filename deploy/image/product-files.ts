/**
 * What of the repository is the product: the sources that the programs reach by import, and what they read at run time.
 * Tests, their helpers and tools are thus left out without a list. `product-files.ts DIR` writes them there, sources
 * without their types: Node would strip these at each start, and keep 27 MB for it. Lines and columns stay as they are.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { importsOf } from '../../scripts/check-imports.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const PROGRAMS = ['node-agent', 'clustermesh-apiserver', 'cli'].map((name) => `packages/${name}/src/main.ts`);
const READ_AT_RUN_TIME = ['socket-lb', 'packet-lb', 'l2-responder'].map(
  (name) => `packages/node-agent/build/${name}.bpf.o`,
);

function productFiles(): readonly string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    const imports = importsOf({ path: file, text: readFileSync(path.join(ROOT, file), 'utf8') });
    for (const name of imports) if (/^(packages|proto)\/.*\.ts$/.test(name)) visit(name);
  };
  for (const program of PROGRAMS) visit(program);
  // Without its package.json, Node does not know what a file of ours exports, nor that it is a module.
  const manifests = [...found].map((file) => file.replace(/^(packages\/[^/]+|proto)\/.*$/, '$1/package.json'));
  return [...new Set([...found, ...manifests, ...READ_AT_RUN_TIME])].sort();
}

function writeProduct(directory: string): void {
  for (const file of productFiles()) {
    const [source, target] = [path.join(ROOT, file), path.join(directory, file)];
    mkdirSync(path.dirname(target), { recursive: true });
    if (file.endsWith('.ts')) writeFileSync(target, stripTypeScriptTypes(readFileSync(source, 'utf8')));
    else copyFileSync(source, target);
  }
}

if (import.meta.main) writeProduct(process.argv[2] ?? '');
