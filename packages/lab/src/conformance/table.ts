/** docs/conformance.md: written by a run, and read again by the next one, which may bring some of its columns only. */
import { KNOWN_FAILURES, type KnownFailure } from './known-failures.ts';
import type { Outcome, SpecResult } from './results.ts';
import { SETTINGS } from './settings.ts';

/** Setting → spec → outcome. */
export type Outcomes = Readonly<Record<string, Readonly<Record<string, Outcome>>>>;

const MARKS: Readonly<Record<Outcome, string>> = { passed: 'yes', failed: '**no**', skipped: 'skipped' };
const UNKNOWN = '–';

export const outcomesOf = (results: readonly SpecResult[]): Readonly<Record<string, Outcome>> =>
  Object.fromEntries(results.map(({ name, outcome }) => [name, outcome]));

export function formatTable(
  outcomes: Outcomes,
  version: string,
  known: readonly KnownFailure[] = KNOWN_FAILURES,
): string {
  const specs = [...new Set(Object.values(outcomes).flatMap((each) => Object.keys(each)))].sort();
  const count = (setting: string, outcome: Outcome): number =>
    Object.values(outcomes[setting] ?? {}).filter((each) => each === outcome).length;
  const mark = (setting: string, spec: string): string => {
    const outcome = outcomes[setting]?.[spec];
    return outcome === undefined ? UNKNOWN : MARKS[outcome];
  };
  return [
    "# Kubernetes' own network tests",
    '',
    `Made by \`scripts/conformance --write\`: the specs of Kubernetes ${version} under \`[sig-network]\` Services, EndpointSlice, EndpointSliceMirroring, Networking and DNS that need nothing special, on three nodes, dual stack.`,
    '',
    '| setting | what it shows | passed | failed | skipped |',
    '| --- | --- | --- | --- | --- |',
    ...SETTINGS.map(({ name, title, shows }) => {
      const counts = (['passed', 'failed', 'skipped'] as const).map((outcome) => count(name, outcome));
      return row([title, shows, ...counts.map(String)]);
    }),
    '',
    '## What does not pass, and why',
    '',
    ...(known.length === 0 ? ['Nothing.'] : ['| spec | where | cause |', '| --- | --- | --- |']),
    ...known.map(({ spec, settings, cause }) => row([spec, settings.map(titleOf).join(', '), cause])),
    '',
    '## Each spec',
    '',
    row(['spec', ...SETTINGS.map(({ title }) => title)]),
    row(['---', ...SETTINGS.map(() => '---')]),
    ...specs.map((spec) => row([spec, ...SETTINGS.map(({ name }) => mark(name, spec))])),
    '',
  ].join('\n');
}

const titleOf = (setting: string): string => SETTINGS.find(({ name }) => name === setting)?.title ?? setting;
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** The table of specs in the text; empty when there is none. A column belongs to the setting of its title. */
export function parseTable(text: string): Outcomes {
  const outcomes: Record<string, Record<string, Outcome>> = {};
  const [, table = ''] = text.split('## Each spec\n');
  const rows = table.split('\n').filter((line) => line.startsWith('| '));
  const [[, ...titles] = [], , ...specs] = rows.map((line) => line.slice(2, -2).split(' | '));
  for (const [spec = '', ...marks] of specs) {
    for (const [index, mark] of marks.entries()) {
      const setting = SETTINGS.find(({ title }) => title === titles[index])?.name;
      const outcome = (Object.keys(MARKS) as Outcome[]).find((each) => MARKS[each] === mark);
      if (setting !== undefined && outcome !== undefined) outcomes[setting] = { ...outcomes[setting], [spec]: outcome };
    }
  }
  return outcomes;
}
