/**
 * What other products bring to a cluster: their kinds, and the manifests that they show to people. It is read from their
 * Go modules, whose versions and checksums are pinned here, and kept beside what is built; tests find it by name.
 */
import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { command } from '@tombolo/machine/command.ts';
import { goPlaces } from './build-part.ts';
import { cached, digestOf, makeOnce } from './cache.ts';
import type { Go } from './go.ts';

export interface Product {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  /** As a go.sum has it. */
  readonly sum: string;
  /** Files and directories of the module. */
  readonly paths: readonly string[];
}

export const METALLB = {
  name: 'metallb',
  module: 'go.universe.tf/metallb',
  version: 'v0.15.3',
  sum: 'h1:jmTFharsaP9yBW0p/giOahfuVNTBIvwQqxx2eYxM6fc=',
  paths: [
    ...['config/crd/bases', 'config/manifests/metallb-native.yaml', 'configsamples'],
    ...['charts/metallb/charts/crds', 'configmaptocrs/testdata'],
  ],
} as const satisfies Product;

export const CILIUM = {
  name: 'cilium',
  module: 'github.com/cilium/cilium',
  version: 'v1.20.2',
  sum: 'h1:dqiEGIcXc+gqCLYG/l7VCFJ8GHyb4HUrwbZOpkX5dL8=',
  paths: ['pkg/k8s/apis/cilium.io/client/crds', 'Documentation/network/lb-ipam.rst'],
} as const satisfies Product;

const PRODUCTS: readonly Product[] = [METALLB, CILIUM];

/** Where the files of a product are; throws when nobody has fetched them. */
export async function productFiles(product: Product): Promise<string> {
  const directory = cached(await nameOf(product));
  if (directory !== undefined) return directory;
  throw new Error(`Cannot find the manifests of ${product.name}: fetch them with 'scripts/kubernetes build'`);
}

export async function hasProducts(): Promise<boolean> {
  const names = await Promise.all(PRODUCTS.map(nameOf));
  return names.every((name) => cached(name) !== undefined);
}

export async function fetchProducts(go: Go): Promise<void> {
  for (const product of PRODUCTS) await makeOnce(await nameOf(product), (directory) => fetch(product, directory, go));
}

const nameOf = async ({ name, version, sum, paths }: Product): Promise<string> =>
  `manifests-of-${name}-${version}-${await digestOf([], sum, ...paths)}`;

async function fetch({ module, version, sum, paths }: Product, directory: string, go: Go): Promise<void> {
  const argv = ['env', '-C', '/', go.path, 'mod', 'download', '-json', `${module}@${version}`];
  const found: unknown = JSON.parse(await command(argv, { env: { GOTOOLCHAIN: 'local', ...goPlaces() } }));
  const { Dir: root, Sum: actual } = found as { readonly Dir: string; readonly Sum: string };
  if (actual !== sum)
    throw new Error(`Cannot use ${module}@${version}: expected the checksum ${sum}: current value is ${actual}`);
  for (const path of paths) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await cp(join(root, path), join(directory, path), { recursive: true });
  }
}
