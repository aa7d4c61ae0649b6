/** `scripts/conformance`: Kubernetes' own network tests against kube-proxy and against us. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { command } from '@tombolo/machine/command.ts';
import { REPOSITORY } from '@tombolo/machine/environment.ts';
import { isInterrupted } from '@tombolo/machine/interrupt.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { NEWEST } from '@tombolo/real-kubernetes/building/parts.ts';
import { KNOWN_FAILURES, surprises } from './known-failures.ts';
import type { SpecResult } from './results.ts';
import { runSetting } from './run-setting.ts';
import { SETTINGS } from './settings.ts';
import { FOCUS, quickFocus } from './specs.ts';
import { formatTable, type Outcomes, outcomesOf, parseTable } from './table.ts';

const USAGE = `Usage: scripts/conformance [--setting NAME]… [--quick] [--focus REGEX] [--write] [--processes N]

Runs Kubernetes' own network tests on a real cluster of three nodes on this machine. Exits with 1 when a spec fails that is
not listed in packages/lab/src/conformance/known-failures.ts, or one passes that is.

${SETTINGS.map(({ name, shows }) => `  --setting ${name.padEnd(12)}${shows}`).join('\n')}
  --quick               only those that tell most in little time
  --focus REGEX         only those whose full names match
  --processes N         specs at a time; default: 4
  --write               brings the results into docs/conformance.md

Without --setting all of them, one after another: about an hour. Logs and reports: .tools/conformance.`;

const TABLE = join(REPOSITORY, 'docs/conformance.md');

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      setting: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      focus: { type: 'string' },
      write: { type: 'boolean', default: false },
      processes: { type: 'string', default: '4' },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = values.setting.find((wanted) => !SETTINGS.some(({ name }) => name === wanted));
  if (values.help || unknown !== undefined) {
    console.log(unknown === undefined ? USAGE : `Unknown setting '${unknown}'\n\n${USAGE}`);
    return values.help ? 0 : 2;
  }
  const chosen = SETTINGS.filter(({ name }) => values.setting.length === 0 || values.setting.includes(name));
  const options = {
    version: NEWEST,
    focus: values.focus ?? (values.quick ? quickFocus() : FOCUS),
    processes: Number(values.processes),
    directory: join(REPOSITORY, '.tools/conformance'),
  };
  let surprised = 0;
  for (const setting of chosen) {
    console.log(`${setting.title}: ${setting.shows}`);
    const results = await runSetting(setting, options);
    const found = surprises(setting.name, results);
    console.log(`  ${summary(results)}`);
    for (const surprise of found) console.log(`  ✗ ${surprise}`);
    surprised += found.length;
    if (values.write) await writeTable(setting.name, results);
  }
  return surprised === 0 ? 0 : 1;
}

/** Reads it just before, since another run may have written meanwhile. */
async function writeTable(setting: string, results: readonly SpecResult[]): Promise<void> {
  const outcomes: Outcomes = existsSync(TABLE) ? parseTable(await readFile(TABLE, 'utf8')) : {};
  const column = { ...outcomes[setting], ...outcomesOf(results) };
  await writeFile(TABLE, formatTable({ ...outcomes, [setting]: column }, await gitVersion(), KNOWN_FAILURES));
}

function summary(results: readonly SpecResult[]): string {
  const count = (outcome: string): number => results.filter((result) => result.outcome === outcome).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

/** Such as `v1.37.2`. */
async function gitVersion(): Promise<string> {
  const { kubectl } = await kubernetesBinaries(NEWEST);
  const { clientVersion } = JSON.parse(await command([kubectl, 'version', '--client', '-o', 'json']));
  return clientVersion.gitVersion;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isInterrupted()) console.error(`scripts/conformance: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
