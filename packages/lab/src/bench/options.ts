/** The command line of `scripts/bench`. Pure. */
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';

export const USAGE = `Usage: scripts/bench NAME [--json] [--cases CASE,CASE…] [--runs N]

  NAME           connect      connections per second through a Service, against straight to a backend
                 throughput   megabytes per second through a Service, against straight to a backend
                 bulk         10,000 Services with 100,000 backends into the kernel, from nothing
                 update       one change of one Service among very many
                 propagation  how long until a ready pod of one cluster can be used in the other's kernel
                 sync         an agent reads a remote cluster of 10,000 Services with 25 backends each
                 churn        what a remote cluster costs that changes 2,000 Services a second, and a large one
                 local        an agent at 5,000 local Services with 10 endpoints each, against kube-proxy
                 idle         memory and time to ready of an agent and an apiserver with nothing to do
                 announce     how long until another node answers for an address, or a router knows of a change
                 pools        who gets which address, with 10,000 pools or 10,000 Services
  --json         one JSON object on standard output instead of a table; progress goes to standard error
  --cases LIST   only these, e.g. ebpf/1,nftables/1000
  --runs N       paired runs of each case`;

export interface CommandLine {
  readonly name: string;
  readonly json: boolean;
  readonly cases: readonly string[];
  readonly runs: number | undefined;
}

export function parseCommandLine(argv: readonly string[], names: readonly string[]): Result<CommandLine | 'help'> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return ok('help');
  const [name = '', ...rest] = positionals;
  if (rest.length > 0) return fail(`expected one benchmark: current value is ${positionals.join(' ')}`);
  if (!names.includes(name)) return fail(`expected ${names.join(' or ')}: current value is ${JSON.stringify(name)}`);
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1 && runs <= 1000)) {
    return fail(`--runs must be 1-1000: current value is ${values.runs}`);
  }
  const cases = (values.cases ?? '').split(',').filter((one) => one !== '');
  return ok({ name, json: values.json, cases, runs });
}

const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      cases: { type: 'string' },
      runs: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
