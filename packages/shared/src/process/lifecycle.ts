/** Ordered start, reverse stop. A part that fails to stop does not spare the others. */
export interface Hook {
  readonly name: string;
  start?(): Promise<void>;
  stop?(): Promise<void>;
}

export class Lifecycle {
  readonly #hooks: Hook[] = [];
  readonly #started: Hook[] = [];

  add(hook: Hook): void {
    this.#hooks.push(hook);
  }

  /** Starts in order. When one fails, those already started stay started: call `stop`. */
  async start(): Promise<void> {
    for (const hook of this.#hooks) {
      this.#started.push(hook);
      await hook.start?.();
    }
  }

  async stop(): Promise<void> {
    const failures: unknown[] = [];
    for (let hook = this.#started.pop(); hook; hook = this.#started.pop()) {
      try {
        await hook.stop?.();
      } catch (cause) {
        failures.push(new Error(`Cannot stop ${hook.name}`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Unclean shutdown');
  }
}
