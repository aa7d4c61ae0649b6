/** The images, kept beside the programs that are in them. */
import { globSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { cacheNameOf } from './build-part.ts';
import { digestOf, makeOnce } from './cache.ts';
import { type TestPrograms, writeLabImages, writeMetallbImages, writeTestImages } from './images.ts';
import { COREDNS, type KubernetesVersion, METALLB_PROGRAMS, PAUSE, testsPart } from './parts.ts';
import { METALLB } from './products.ts';

const OWN_SOURCES = globSync('image*.ts', { cwd: import.meta.dirname }).map((name) => join(import.meta.dirname, name));

export async function labImagesName(): Promise<string> {
  const programs = globSync('packages/machine/src/programs/{echo,identity}.ts', { cwd: REPOSITORY });
  const files = [...OWN_SOURCES, ...programs.map((name) => join(REPOSITORY, name))];
  return `lab-images-${await digestOf(files, await cacheNameOf(PAUSE), process.version)}`;
}

export async function testImageName(version: KubernetesVersion): Promise<string> {
  return `test-images-${version}-${await digestOf(OWN_SOURCES, await cacheNameOf(testsPart(version)), await cacheNameOf(COREDNS))}`;
}

export async function metallbImagesName(): Promise<string> {
  return `metallb-images-${METALLB.version}-${await digestOf(OWN_SOURCES, await cacheNameOf(METALLB_PROGRAMS))}`;
}

export async function buildMetallbImages(programs: {
  readonly controller: string;
  readonly speaker: string;
}): Promise<string> {
  return makeArchive(await metallbImagesName(), (file, work) =>
    writeMetallbImages(programs, METALLB.version, file, work),
  );
}

export async function buildLabImages(pause: string): Promise<string> {
  return makeArchive(await labImagesName(), (file, work) => writeLabImages(pause, file, work));
}

/** Under every name by which the tests ask for agnhost, or for another image that it can stand for. */
export async function buildTestImage(version: KubernetesVersion, e2e: string, programs: TestPrograms): Promise<string> {
  return makeArchive(await testImageName(version), async (file, work) => {
    const list = (await command([e2e, '--list-images'])).trim().split('\n');
    const names = list.filter((name) => /\/(agnhost|busybox|glibc-dns-testing|jessie-dnsutils):/.test(name));
    await writeTestImages(programs, names, file, work);
  });
}

function makeArchive(name: string, write: (file: string, work: string) => Promise<void>): Promise<string> {
  return makeOnce(name, async (directory) => {
    const work = join(directory, 'work');
    await write(join(directory, 'images.tar'), work);
    await rm(work, { recursive: true });
  });
}
