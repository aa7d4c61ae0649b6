/**
 * Command line and environment → values, for the `config.ts` of a program. Each flag may also be given in the
 * environment: `--cluster-name` as `TOMBOLO_CLUSTER_NAME`; the flag wins. All problems are gathered, so that an operator
 * sees every mistake at once.
 */
import { parseArgs } from 'node:util';
import { type ClusterIdentity, type MaxClusters, parseClusterIdentity } from '../model/cluster.ts';
import { fail, ok, type Result } from '../model/result.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every flag, with its default. */
export type FlagDefaults<Flag extends string> = Readonly<Record<Flag, string | undefined>>;

export class Flags<Flag extends string> {
  readonly #values: FlagDefaults<Flag>;
  readonly #problems: string[];

  constructor(values: FlagDefaults<Flag>, problems: readonly string[]) {
    this.#values = values;
    this.#problems = [...problems];
  }

  /** Undefined when it is neither given nor has a default. */
  given(flag: Flag): string | undefined {
    return this.#values[flag];
  }

  text(flag: Flag): string {
    return this.given(flag) ?? '';
  }

  required(flag: Flag): string {
    if (!this.given(flag)) this.problem(`--${flag} is required`);
    return this.text(flag);
  }

  oneOf<T extends string>(flag: Flag, choices: readonly [T, ...T[]]): T {
    const value = this.text(flag);
    const found = choices.find((choice) => choice === value.toLowerCase());
    return this.take(found ? ok(found) : this.#mustBe(flag, choices.join(' or ')), choices[0]);
  }

  port(flag: Flag): number {
    return this.integer(flag, 0, 65_535);
  }

  integer(flag: Flag, least: number, most: number): number {
    const value = this.text(flag);
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    const valid = number >= least && number <= most;
    return this.take(valid ? ok(number) : this.#mustBe(flag, `${least}-${most}`), least);
  }

  #mustBe(flag: Flag, what: string): Result<never> {
    return fail(`--${flag} must be ${what}: current value is ${JSON.stringify(this.text(flag))}`);
  }

  /** The value; or `fallback`, and its error among the problems. */
  take<T>(parsed: Result<T>, fallback: T): T {
    if (parsed.ok) return parsed.value;
    this.problem(parsed.error);
    return fallback;
  }

  problem(sentence: string): void {
    this.#problems.push(sentence);
  }

  /** The configuration that was read; or every problem, one a line. */
  result<T>(config: T): Result<T> {
    return this.#problems.length > 0 ? fail(this.#problems.join('\n')) : ok(config);
  }
}

/** `help` when it was asked for. A flag that is only `--flag` means `true`. */
export function readFlags<Flag extends string>(
  args: readonly string[],
  env: Environment,
  defaults: FlagDefaults<Flag>,
): Flags<Flag> | 'help' {
  const names = Object.keys(defaults) as Flag[];
  const { values, tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(names.map((flag) => [flag, { type: 'string' as const }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if ('help' in values || 'h' in values) return 'help';
  const problems = tokens.flatMap((token) => {
    if (token.kind === 'positional') return [`unexpected argument: ${token.value}`];
    if (token.kind !== 'option') return [];
    if (!(token.name in defaults)) return [`unknown flag: ${token.rawName}`];
    const isSwitch = /^(true|false)$/.test(defaults[token.name as Flag] ?? '');
    return token.value === undefined && !isSwitch ? [`${token.rawName} needs a value`] : [];
  });
  const read = (flag: Flag): string | undefined => {
    const value = values[flag];
    if (value === true) return 'true';
    return (value as string | undefined) ?? (env[environmentName(flag)] || defaults[flag]);
  };
  return new Flags(Object.fromEntries(names.map((flag) => [flag, read(flag)])) as FlagDefaults<Flag>, problems);
}

const environmentName = (flag: string): string => `TOMBOLO_${flag.toUpperCase().replaceAll('-', '_')}`;

export type ClusterFlag = 'cluster-name' | 'cluster-id' | 'max-connected-clusters';

/** The flags that say which cluster a program belongs to. */
export function readCluster(flags: Flags<ClusterFlag>): { cluster: ClusterIdentity; maxClusters: MaxClusters } {
  const maxClusters: MaxClusters = flags.oneOf('max-connected-clusters', ['255', '511']) === '511' ? 511 : 255;
  const name = flags.required('cluster-name');
  const id = flags.required('cluster-id');
  const nobody: ClusterIdentity = { name: '' as ClusterIdentity['name'], id: 0 };
  if (name === '' || id === '') return { cluster: nobody, maxClusters };
  const identity = parseClusterIdentity(name, /^\d+$/.test(id) ? Number(id) : id, maxClusters);
  return { cluster: flags.take(identity, nobody), maxClusters };
}
