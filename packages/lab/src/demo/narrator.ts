/**
 * Prints the demo: chapters, the commands that a user would type, what came back, and what that shows. With `strict`,
 * the first thing that does not hold ends the demo.
 */
import { styleText } from 'node:util';

export class Narrator {
  readonly #strict: boolean;
  readonly #write: (text: string) => void;
  readonly #start = performance.now();
  #chapters = 0;
  #failed = 0;

  constructor(strict: boolean, write = (text: string) => void process.stdout.write(text)) {
    this.#strict = strict;
    this.#write = write;
  }

  /** How many checks did not hold. */
  get failed(): number {
    return this.#failed;
  }

  chapter(title: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1);
    this.#write(`\n${paint('bold', `${++this.#chapters}  ${title}`)} ${paint('gray', `(${seconds} s)`)}\n`);
  }

  say(text: string): void {
    for (const line of text.split('\n')) this.#write(`   ${line}\n`);
  }

  command(line: string, output = ''): void {
    this.#write(`   ${paint('cyan', `$ ${line}`)}\n`);
    const text = output.replace(/\s+$/, '');
    if (text !== '') for (const row of text.split('\n')) this.#write(`     ${row}\n`);
  }

  /** What the chapter shows; `seen` is said when it does not hold. */
  check(what: string, holds: boolean, seen: unknown): void {
    if (holds) {
      this.#write(`   ${paint('green', '✓')} ${what}\n`);
      return;
    }
    this.#failed++;
    this.#write(`   ${paint('red', '✗')} ${what}: seen was ${JSON.stringify(seen)}\n`);
    if (this.#strict) throw new Error(`Cannot show that ${what}: current value is ${JSON.stringify(seen)}`);
  }
}

function paint(style: Parameters<typeof styleText>[0], text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
