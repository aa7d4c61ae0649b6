/**
 * What of the repository is the product: the sources that the programs reach by import, and what they read at run time.
 * Prints the paths, from the root of the repository. Tests, their helpers and tools are thus left out without a list.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { importsOf } from '../../scripts/check-imports.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const PROGRAMS = ['node-agent', 'clustermesh-apiserver', 'cli'].map((name) => `packages/${name}/src/main.ts`);
const READ_AT_RUN_TIME = ['packages/node-agent/build/socket-lb.bpf.o'];

export function productFiles(): readonly string[] {
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

if (import.meta.main) process.stdout.write(productFiles().join('\n').concat('\n'));
