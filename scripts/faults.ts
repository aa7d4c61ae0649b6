/**
 * Makes the table of faults in docs/faults.md from what tests have seen: `node scripts/faults.ts FILE` puts it in, FILE being
 * the one that TOMBOLO_FAULTS named while they ran.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Trial {
  readonly fault: string;
  readonly way: string;
  readonly tookMs?: number;
  readonly requests?: { readonly sent: number; readonly failed: number };
}

const DOCUMENT = join(import.meta.dirname, '../docs/faults.md');
const [BEGIN, END] = ['<!-- made by scripts/faults -->', '<!-- until here -->'];

/** What is promised: how soon, and which requests may fail; what a test holds us to. In the order of the table. */
const BOUNDS: Readonly<Record<string, readonly [time: string, requests: string]>> = {
  'agent is stopped': ['the others hear of it', 'under way'],
  'agent is killed': ['1 s', 'under way'],
  'agent hangs': ['1 s', 'none'],
  'datapath does not work': ['the others hear of it', 'none'],
  'link is down': ['1 s', 'for 1 s'],
  'node is cut off': ['1 s', 'under way'],
  'a switch and a neighbour forget': ['', 'for 1 s'],
  'a stranger takes the address': ['reported', ''],
  'agent is killed, and started': ['nothing moves', 'none'],
  'routing engine is killed, and started': ['no route missing', ''],
  'router restarts': ['told again: 1 s after it is there', ''],
  'node is cut off, with BFD': ['within BFD’s time: 1 s', 'under way'],
  'BFD sees a link down': ['within BFD’s time: 1 s', ''],
  'last backend is gone': ['0.2 s', ''],
  'last backend of a node goes, policy Local': ['before it ends', 'under way'],
  'Tombolo comes beside MetalLB': ['nothing moves', 'none'],
  'MetalLB’s speakers go, all at once': ['', 'under way'],
  'MetalLB’s speakers go, node by node': ['', 'under way'],
};

/** Markdown; faults of which no bound is known come last. */
export function tableOf(trials: readonly Trial[]): string {
  const rows = Map.groupBy(trials, ({ fault, way }) => `${fault}\n${way}`);
  const order = Object.keys(BOUNDS);
  const rank = (fault: string): number => (order.includes(fault) ? order.indexOf(fault) : order.length);
  const lines = [...rows.values()].toSorted(([a], [b]) => rank(a?.fault ?? '') - rank(b?.fault ?? '')).map(rowOf);
  const head = ['fault', 'way', 'bound', 'took at most', 'requests that may fail', 'failed', 'trials'];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function rowOf(trials: readonly Trial[]): readonly string[] {
  const [first] = trials;
  const { fault = '', way = '' } = first ?? {};
  const [time = '', requests = ''] = BOUNDS[fault] ?? [];
  const took = trials.flatMap(({ tookMs }) => tookMs ?? []);
  const counts = trials.flatMap((trial) => trial.requests ?? []);
  const sum = (of: 'sent' | 'failed'): string =>
    counts.reduce((total, each) => total + each[of], 0).toLocaleString('en-US');
  const most = took.length === 0 ? '' : `${(Math.max(...took) / 1000).toFixed(2)} s`;
  return [
    fault,
    way,
    time,
    most,
    requests,
    counts.length === 0 ? '' : `${sum('failed')} of ${sum('sent')}`,
    `${trials.length}`,
  ];
}

/** The document with another table between the marks. */
export function withTable(document: string, table: string): string {
  const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`Cannot put the table in: expected '${BEGIN}' and '${END}' after it`);
  return `${document.slice(0, start)}${BEGIN}\n${table}\n${document.slice(end)}`;
}

if (process.argv[1] === import.meta.filename) {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Error('Cannot make the table: expected the file that TOMBOLO_FAULTS named');
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const table = tableOf(lines.map((line) => JSON.parse(line) as Trial));
  writeFileSync(DOCUMENT, withTable(readFileSync(DOCUMENT, 'utf8'), table));
}
