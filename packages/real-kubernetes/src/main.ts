/** `scripts/kubernetes`: builds the real Kubernetes that the lab runs, and tells where it is. */
import { Command } from 'commander';
import { buildPart, cacheNameOf } from './building/build-part.ts';
import { kubernetesBinaries, metallbBinaries, namedBinary } from './building/built.ts';
import { CACHE, cached, cachedNames } from './building/cache.ts';
import { findGo } from './building/go.ts';
import {
  buildLabImages,
  buildMetallbImages,
  buildTestImage,
  labImagesName,
  metallbImagesName,
  testImageName,
} from './building/image-parts.ts';
import {
  CONTAINERD_PART,
  COREDNS,
  ETCD,
  HELM,
  isKnownVersion,
  KUBERNETES_VERSIONS,
  type KubernetesVersion,
  kubernetesPart,
  METALLB_PROGRAMS,
  NEWEST,
  PAUSE,
  type Part,
  testsPart,
} from './building/parts.ts';
import { fetchProducts, hasProducts } from './building/products.ts';
import { createProgress, elapsed, type Progress } from './building/progress.ts';

const program = new Command('scripts/kubernetes')
  .description('Kubernetes itself on this machine, built from Go modules')
  .addHelpText(
    'after',
    `
Versions: ${KUBERNETES_VERSIONS.join(', ')}. Built parts are kept in ${CACHE}.
TOMBOLO_KUBERNETES_BINARIES=DIR uses the programs in DIR (kube-apiserver, kubelet, containerd, …) and builds only others.`,
  );

program
  .command('build')
  .description('build what is missing: some minutes the first time, nothing after that')
  .option('--kubernetes <version...>', 'which versions', [NEWEST])
  .option('--without-tests', "leave out Kubernetes' own network tests")
  .action(async ({ kubernetes, withoutTests }: { kubernetes: string[]; withoutTests?: true }) => {
    const unknown = kubernetes.find((version) => !isKnownVersion(version));
    if (unknown !== undefined)
      throw new Error(`Cannot build Kubernetes '${unknown}': expected one of ${KUBERNETES_VERSIONS.join(', ')}`);
    await buildAll(kubernetes.filter(isKnownVersion), withoutTests !== true, createProgress(process.stderr));
  });

program
  .command('path <program>')
  .description('where a program is, such as kubectl or helm')
  .option('--kubernetes <version>', 'of which version', NEWEST)
  .action(async (name: string, { kubernetes }: { kubernetes: string }) => {
    const parts = [...COMMON, ...(isKnownVersion(kubernetes) ? partsOf(kubernetes, true) : [])];
    const part = parts.find(({ programs, links = [] }) =>
      [...programs.map(({ file }) => file), ...links].includes(name),
    );
    if (part === undefined) {
      const known = parts.flatMap(({ programs, links = [] }) => [...programs.map(({ file }) => file), ...links]);
      throw new Error(`Cannot find ${name}: expected one of ${known.join(', ')}`);
    }
    const directory = cached(await cacheNameOf(part));
    const path = namedBinary(name) ?? (directory && `${directory}/${name}`);
    if (path === undefined) throw new Error(`Cannot find ${name}: build it with 'scripts/kubernetes build'`);
    console.log(path);
  });

program
  .command('list')
  .description('what has been built')
  .action(async () => {
    for (const name of await cachedNames()) console.log(`${CACHE}/${name}`);
  });

const COMMON: readonly Part[] = [PAUSE, ETCD, CONTAINERD_PART, COREDNS, HELM, METALLB_PROGRAMS];

await program.parseAsync().catch((error: Error) => {
  console.error(`scripts/kubernetes: ${error.message}`);
  process.exitCode = 1;
});

function partsOf(version: KubernetesVersion, tests: boolean): readonly Part[] {
  return tests ? [kubernetesPart(version), testsPart(version)] : [kubernetesPart(version)];
}

async function buildAll(versions: readonly KubernetesVersion[], tests: boolean, progress: Progress): Promise<void> {
  const start = performance.now();
  const wanted = [...COMMON, ...versions.flatMap((version) => partsOf(version, tests))];
  const parts: Part[] = [];
  for (const part of wanted) if (!isNamed(part) && !cached(await cacheNameOf(part))) parts.push(part);
  const images = [
    await labImagesName(),
    await metallbImagesName(),
    ...(tests ? await Promise.all(versions.map(testImageName)) : []),
  ];
  const areThere = await hasProducts();
  if (parts.length === 0 && images.every((name) => cached(name)) && areThere) return;
  if (!areThere) await fetchProducts(await findGo((text) => progress.say(text)));
  if (parts.length > 0) {
    const names = parts.map(({ name }) => name).join(', ');
    progress.say(`building ${names}: 10 to 20 minutes on two cores when nothing of it was built before`);
    const go = await findGo((text) => progress.say(text));
    for (const [index, part] of parts.entries()) {
      progress.say(`part ${index + 1} of ${parts.length}: ${part.name}`);
      await buildPart(part, go, progress);
    }
  }
  await buildMetallbImages(await metallbBinaries());
  await buildLabImages(`${cached(await cacheNameOf(PAUSE))}/pause`);
  if (tests)
    for (const version of versions) {
      const directory = cached(await cacheNameOf(testsPart(version)));
      await buildTestImage(version, namedBinary('e2e.test') ?? `${directory}/e2e.test`, {
        agnhost: `${directory}/agnhost`,
        coredns: (await kubernetesBinaries(version)).coredns,
      });
    }
  for (const version of versions) await kubernetesBinaries(version); // All of it is there, and fit.
  progress.say(`ready after ${elapsed(performance.now() - start)}, in ${CACHE}`);
}

/** Whether the user has named all programs of a part. */
function isNamed({ programs, links }: Part): boolean {
  return (links ?? programs.map(({ file }) => file)).every((name) => namedBinary(name) !== undefined);
}
