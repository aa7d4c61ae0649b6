/** Runs the tests in one setting: a mesh of one real cluster, and Ginkgo in the namespace of its control plane. */

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { command } from '@tombolo/machine/command.ts';
import { programEnvironment } from '@tombolo/machine/environment.ts';
import { placed } from '@tombolo/machine/placement.ts';
import { type TestBinaries, testBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { type Mesh, startMesh } from '../mesh/mesh.ts';
import { loadImages, realKubernetes } from '../mesh/real-kubernetes.ts';
import { MAKE_GLOBAL } from './make-global.ts';
import { readReport, type SpecResult } from './results.ts';
import type { Setting } from './settings.ts';
import { SKIP } from './specs.ts';

export interface RunOptions {
  readonly version: string;
  readonly focus: string;
  /** How many specs at a time. */
  readonly processes: number;
  /** For the report and what Ginkgo says. */
  readonly directory: string;
}

/** Where another mount lies over the root, Ginkgo's own relative paths end there. */
const IN_OWN_ROOT = fileURLToPath(import.meta.resolve('@tombolo/machine/in-own-root.sh'));
const NODES = 3; // Some specs need two besides the one that they look at.

export async function runSetting(setting: Setting, options: RunOptions): Promise<readonly SpecResult[]> {
  const { version } = options;
  const mesh = await startMesh({
    name: `conf${setting.name}`,
    clusters: [{ name: 'east', id: 1, nodes: NODES }],
    kubernetes: realKubernetes(setting.proxy, version),
    ...(setting.agent ? { agent: setting.agent } : { without: 'apiservers and agents' as const }),
  });
  try {
    const tests = await testBinaries(version);
    const east = mesh.cluster('east');
    await loadImages(mesh.plan, [tests.image]);
    if (setting.allGlobal)
      await east.kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(listOf(MAKE_GLOBAL)));
    await runGinkgo(mesh, setting, tests, options);
    return readReport(await readFile(`${options.directory}/${setting.name}.json`, 'utf8'));
  } finally {
    await mesh.close();
  }
}

const listOf = (items: readonly object[]): object => ({ apiVersion: 'v1', kind: 'List', items });

/** Its exit code tells less than its report. */
async function runGinkgo(mesh: Mesh, { name }: Setting, tests: TestBinaries, options: RunOptions): Promise<void> {
  const { plan } = mesh.cluster('east');
  const { focus, processes, directory } = options;
  await mkdir(directory, { recursive: true });
  await command(['rm', '-f', `${directory}/${name}.json`]);
  const argv = [
    ...[IN_OWN_ROOT, tests.ginkgo, `--procs=${processes}`, '--no-color', '--keep-going', '--timeout=90m'],
    ...[
      `--focus=${focus}`,
      `--skip=${SKIP}`,
      `--json-report=${name}.json`,
      `--output-dir=${directory}`,
      tests.e2e,
      '--',
    ],
    ...[
      '--provider=skeleton',
      `--num-nodes=${NODES}`,
      `--kubectl-path=${tests.kubectl}`,
      `--kubeconfig=${plan.kubeconfig}`,
    ],
  ];
  const [file = '', ...args] = placed(argv, { netns: plan.controlPlane.netns, cgroup: plan.controlPlane.cgroup });
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: programEnvironment() });
  const log = createWriteStream(`${directory}/${name}.log`);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  log.end();
}
