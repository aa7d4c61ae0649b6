/** `scripts/bench`: runs one benchmark and prints its report. Cleans up also on Ctrl-C. */
import { BENCHES } from './benches.ts';
import { parseCommandLine, USAGE } from './options.ts';
import { type BenchReport, formatJson, formatTable } from './results.ts';

const INTERRUPTED = 130;

async function run(argv: readonly string[]): Promise<number> {
  const line = parseCommandLine(argv, [...BENCHES.keys()]);
  if (!line.ok) {
    console.error(`bench: ${line.error}\n\n${USAGE}`);
    return 2;
  }
  if (line.value === 'help') {
    console.log(USAGE);
    return 0;
  }
  const { name, json, cases, runs } = line.value;
  const bench = BENCHES.get(name);
  if (bench === undefined) return 2;
  if (process.getuid?.() !== 0) {
    console.error('bench: Cannot make network namespaces: expected to run as root');
    return 1;
  }
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupt.abort());
  const progress = (text: string): void => console.error(`bench: ${text}`);
  try {
    const report = await bench({ cases, runs, progress, signal: interrupt.signal });
    print(report, json);
    return report.skipped.length > 0 ? 1 : 0;
  } catch (error) {
    if (interrupt.signal.aborted) {
      console.error('bench: interrupted; everything it made is removed');
      return INTERRUPTED;
    }
    throw error;
  }
}

function print(report: BenchReport, json: boolean): void {
  console.log(json ? formatJson(report) : formatTable(report));
  if (json) for (const skip of report.skipped) console.error(`bench: ${skip.case} was not measured: ${skip.reason}`);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
