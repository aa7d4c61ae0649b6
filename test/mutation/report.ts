/**
 * What came of a run of `scripts/mutate`: asks the compiler about each change that no test noticed (a type is a test,
 * too), then prints what nobody notices, and the room's figures. Works on the copy; it leaves the files as they were.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

interface Place {
  readonly line: number;
  readonly column: number;
}
interface Mutant {
  readonly status: string;
  readonly replacement: string;
  readonly location: { readonly start: Place; readonly end: Place };
}
interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
}

const name = process.argv[2] ?? '';
const report: Report = JSON.parse(readFileSync(`reports/${name}.json`, 'utf8'));
const files = Object.entries(report.files)
  .map(([file, { source, mutants }]) => {
    return [file, { source, mutants: mutants.filter(({ status }) => status !== 'Ignored') }] as const;
  })
  .filter(([, { mutants }]) => mutants.length > 0);
const isLeft = ({ status }: Mutant): boolean => status === 'Survived' || status === 'NoCoverage';

const offsetOf = (source: string, { line, column }: Place): number =>
  source
    .split('\n')
    .slice(0, line - 1)
    .reduce((sum, text) => sum + text.length + 1, column - 1);

function changed(source: string, { location, replacement }: Mutant): string {
  return source.slice(0, offsetOf(source, location.start)) + replacement + source.slice(offsetOf(source, location.end));
}

// As all of the tree, but for what these files do not import.
const project = 'tsconfig.mutation.json';
writeFileSync(project, JSON.stringify({ extends: './tsconfig.json', files: files.map(([file]) => file), include: [] }));

/** One change in each file at a time; the compiler names the files that it refuses. */
const refused = new Set<Mutant>();
const waiting = new Map(files.map(([file, { mutants }]) => [file, mutants.filter(isLeft)]));
while ([...waiting.values()].some((mutants) => mutants.length > 0)) {
  const asked = new Map<string, Mutant>();
  for (const [file, { source }] of files) {
    const mutant = waiting.get(file)?.pop();
    if (mutant) asked.set(file, mutant);
    writeFileSync(file, mutant ? changed(source, mutant) : source);
  }
  const { stdout } = spawnSync('node_modules/.bin/tsc', ['-p', project, '--pretty', 'false'], { encoding: 'utf8' });
  for (const [file, mutant] of asked) if (stdout.includes(`${file}(`)) refused.add(mutant);
}
for (const [file, { source }] of files) writeFileSync(file, source);

const row = (label: string, mutants: readonly Mutant[]): Readonly<Record<string, string | number>> => {
  const count = (...statuses: readonly string[]) => mutants.filter(({ status }) => statuses.includes(status)).length;
  const types = mutants.filter((mutant) => refused.has(mutant)).length;
  const left = mutants.filter(isLeft).length - types;
  const share = `${((1 - left / mutants.length) * 100).toFixed(1)} %`;
  const noticed = { tests: count('Killed', 'RuntimeError'), timeout: count('Timeout'), types };
  return { file: label, changes: mutants.length, ...noticed, left, noticed: share };
};

for (const [file, { source, mutants }] of files) {
  for (const mutant of mutants.filter((each) => isLeft(each) && !refused.has(each))) {
    const { start, end } = mutant.location;
    const text = source.slice(offsetOf(source, start), offsetOf(source, end));
    const [from, to] = [text, mutant.replacement].map((each) => each.replace(/\s+/g, ' ').slice(0, 100));
    console.log(
      `${file}:${start.line}:${start.column} ${mutant.status === 'NoCoverage' ? '(not reached) ' : ''}${from}  →  ${to}`,
    );
  }
}
console.table([
  ...files.map(([file, { mutants }]) => row(file.split('/').slice(-2).join('/'), mutants)),
  row(
    name,
    files.flatMap(([, { mutants }]) => mutants),
  ),
]);
