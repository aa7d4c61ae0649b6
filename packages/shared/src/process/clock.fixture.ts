/** A clock that stands still until a test moves it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

export class FakeClock implements Clock {
  #now = 0;
  #wall: number;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  constructor(wallTime = Date.UTC(2026, 0, 2, 3, 4, 5)) {
    this.#wall = wallTime;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#wall;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many waits are under way. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves on, timer by timer; what each of them set off runs before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await nextTurn();
    for (let due = this.#due(end); due; due = this.#due(end)) {
      this.#move(Math.max(this.#now, due.at));
      this.#timers.delete(due);
      due.run();
      await nextTurn();
    }
    this.#move(end);
    await nextTurn();
  }

  /** As when somebody sets the machine's clock: nothing else moves. */
  setWallTime(ms: number): void {
    this.#wall = ms;
  }

  #due(end: number) {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }

  #move(to: number): void {
    this.#wall += to - this.#now;
    this.#now = to;
  }
}
