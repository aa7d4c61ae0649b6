/**
 * What `scripts/kubernetes build` has made, by name. A directory in TOMBOLO_KUBERNETES_BINARIES goes before it: what is in
 * there, under the names that the programs have, is used as it is.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tryCommand } from '@tombolo/machine/command.ts';
import type { Binaries } from '../run/binaries.ts';
import { cacheNameOf } from './build-part.ts';
import { cached } from './cache.ts';
import { isAtLeast } from './go.ts';
import { labImagesName, metallbImagesName, testImageName } from './image-parts.ts';
import {
  CONTAINERD_PART,
  COREDNS,
  ETCD,
  HELM,
  isKnownVersion,
  KUBERNETES_VERSIONS,
  kubernetesPart,
  METALLB_PROGRAMS,
  NEWEST,
  type Part,
  testsPart,
} from './parts.ts';

const NAMED = 'TOMBOLO_KUBERNETES_BINARIES';

/** What the user named. */
export function namedBinary(name: string): string | undefined {
  const directory = process.env[NAMED];
  if (directory === undefined || directory === '') return undefined;
  if (!existsSync(directory)) throw new Error(`Cannot use ${NAMED}: expected a directory: '${directory}' is not there`);
  const file = join(directory, name);
  return existsSync(file) ? file : undefined;
}

export async function kubernetesBinaries(version: string = NEWEST): Promise<Binaries> {
  if (!isKnownVersion(version))
    throw new Error(
      `Cannot run Kubernetes: expected a version of ${KUBERNETES_VERSIONS}: current value is '${version}'`,
    );
  const kubernetes = kubernetesPart(version);
  const binaries = {
    kubeApiserver: await binaryOf(kubernetes, 'kube-apiserver'),
    kubeControllerManager: await binaryOf(kubernetes, 'kube-controller-manager'),
    kubeScheduler: await binaryOf(kubernetes, 'kube-scheduler'),
    kubelet: await binaryOf(kubernetes, 'kubelet'),
    kubeProxy: await binaryOf(kubernetes, 'kube-proxy'),
    kubectl: await binaryOf(kubernetes, 'kubectl'),
    etcd: await binaryOf(ETCD, 'etcd'),
    containerd: await binaryOf(CONTAINERD_PART, 'containerd'),
    containerdShim: await binaryOf(CONTAINERD_PART, 'containerd-shim-runc-v2'),
    ctr: await binaryOf(CONTAINERD_PART, 'ctr'),
    coredns: await binaryOf(COREDNS, 'coredns'),
  };
  await expectContainerd(binaries.containerd);
  return binaries;
}

export const helmBinary = (): Promise<string> => binaryOf(HELM, 'helm');

export async function metallbBinaries(): Promise<{ readonly controller: string; readonly speaker: string }> {
  return {
    controller: await binaryOf(METALLB_PROGRAMS, 'metallb-controller'),
    speaker: await binaryOf(METALLB_PROGRAMS, 'metallb-speaker'),
  };
}

/** An archive with the images that MetalLB's manifests name. */
export async function metallbImages(): Promise<string> {
  const directory = cached(await metallbImagesName());
  if (directory === undefined) throw missing('the images of MetalLB');
  return join(directory, 'images.tar');
}

export interface TestBinaries {
  readonly e2e: string;
  readonly ginkgo: string;
  readonly kubectl: string;
  /** An archive. */
  readonly image: string;
}

export async function testBinaries(version: string = NEWEST): Promise<TestBinaries> {
  if (!isKnownVersion(version))
    throw new Error(`Cannot run the tests of Kubernetes '${version}': it is not known here`);
  const image = cached(await testImageName(version));
  if (image === undefined) throw missing('the image of the tests');
  const tests = testsPart(version);
  return {
    e2e: await binaryOf(tests, 'e2e.test'),
    ginkgo: await binaryOf(tests, 'ginkgo'),
    kubectl: await binaryOf(kubernetesPart(version), 'kubectl'),
    image: join(image, 'images.tar'),
  };
}

/** Archives with the images `pause`, `echo` and `client`. */
export async function labImages(): Promise<readonly string[]> {
  const directory = cached(await labImagesName());
  if (directory === undefined) throw missing('the images of the lab');
  return [join(directory, 'images.tar')];
}

async function binaryOf(part: Part, name: string): Promise<string> {
  const named = namedBinary(name);
  if (named !== undefined) return named;
  const directory = cached(await cacheNameOf(part));
  if (directory === undefined) throw missing(name);
  return join(directory, name);
}

const missing = (what: string): Error => new Error(`Cannot find ${what}: build it with 'scripts/kubernetes build'`);

/** The configuration that nodes get is of version 2, and so is what kubelets ask for. */
async function expectContainerd(path: string): Promise<void> {
  const { stdout } = await tryCommand([path, '--version']);
  const version = /\bv?(\d+\.\d+)/.exec(stdout)?.[1] ?? '';
  if (isAtLeast(version, '2.0')) return;
  throw new Error(`Cannot use ${path}: expected containerd 2.0 or newer: '${stdout.trim()}'`);
}
