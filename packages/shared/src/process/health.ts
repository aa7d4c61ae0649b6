/**
 * One health tree: each loop reports its state under its name, and readiness is read from it. Liveness is not: a program
 * that answers at all is alive, since a restart mends nothing that is reported here.
 */
export type Health =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ok' }
  | { readonly kind: 'degraded'; readonly reason: string }
  /** It cannot do what the program is for: not ready, until it can again. */
  | { readonly kind: 'failing'; readonly reason: string };

export class HealthTree {
  readonly #parts = new Map<string, Health>();

  /** A part that must have been `ok` or `degraded` once before the program is ready. */
  expect(...names: readonly string[]): void {
    for (const name of names) if (!this.#parts.has(name)) this.#parts.set(name, { kind: 'starting' });
  }

  report(name: string, health: Health): void {
    this.#parts.set(name, health);
  }

  forget(name: string): void {
    this.#parts.delete(name);
  }

  get ready(): boolean {
    return this.waitingFor.length === 0 && this.failures.length === 0;
  }

  get waitingFor(): readonly string[] {
    return [...this.#parts].filter(([, health]) => health.kind === 'starting').map(([name]) => name);
  }

  /** One sentence for each part that is not well, while the program does what it can. */
  get complaints(): readonly string[] {
    return this.#reasons('degraded');
  }

  /** One sentence for each part for which the program is not ready. */
  get failures(): readonly string[] {
    return this.#reasons('failing');
  }

  #reasons(kind: 'degraded' | 'failing'): readonly string[] {
    return [...this.#parts].flatMap(([name, health]) => (health.kind === kind ? [`${name}: ${health.reason}`] : []));
  }

  get parts(): ReadonlyMap<string, Health> {
    return this.#parts;
  }
}
