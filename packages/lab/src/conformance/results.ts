/** What a run of the tests brought, from Ginkgo's report in JSON. Pure. */

export type Outcome = 'passed' | 'failed' | 'skipped';

export interface SpecResult {
  /** Without the labels in brackets at its end. */
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  /** Why it failed or was skipped. */
  readonly reason: string;
}

interface SpecReport {
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly State: string;
  readonly NumAttempts?: number;
  readonly RunTime: number;
  readonly Failure?: { readonly Message?: string };
}

/** Only of those that were run. Throws when the report is not one, or set-up or end of the whole run failed. */
export function readReport(json: string): readonly SpecResult[] {
  const suites = JSON.parse(json) as readonly { readonly SpecReports: readonly SpecReport[] }[];
  const reports = suites.flatMap(({ SpecReports }) => SpecReports);
  const broken = reports.find(({ LeafNodeType, State }) => LeafNodeType !== 'It' && outcomeOf(State) === 'failed');
  if (broken) throw new Error(`Cannot use the report: ${broken.LeafNodeType} failed: ${broken.Failure?.Message}`);
  return reports
    .filter(({ LeafNodeType, NumAttempts }) => LeafNodeType === 'It' && (NumAttempts ?? 0) > 0)
    .map((report) => ({
      name: shortName([...(report.ContainerHierarchyTexts ?? []), report.LeafNodeText].join(' ')),
      outcome: outcomeOf(report.State),
      seconds: report.RunTime / 1e9,
      reason: report.Failure?.Message?.split('\n')[0] ?? '',
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function outcomeOf(state: string): Outcome {
  if (state === 'passed' || state === 'skipped') return state;
  return state === 'pending' ? 'skipped' : 'failed';
}

export const shortName = (name: string): string =>
  name
    .replace(/^\[sig-network\] /, '')
    .replace(/( \[[\w:]+\])+$/, '')
    .trim();
