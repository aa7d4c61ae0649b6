/** Tells a person how far a build is: on a terminal by a line that changes, elsewhere by a line now and then. */

export interface Step {
  advance(): void;
  done(): void;
}

export interface Progress {
  say(text: string): void;
  step(name: string, total: number): Step;
}

const TERMINAL_MS = 500;
const LOG_MS = 30_000;

export function createProgress(out: NodeJS.WriteStream, now: () => number = () => performance.now()): Progress {
  const start = now();
  const clear = (): void => void (out.isTTY && out.write('\r\x1b[K'));
  return {
    say: (text) => {
      clear();
      out.write(`kubernetes: ${text}\n`);
    },
    step: (name, total) => {
      let count = 0;
      let shown = now();
      const line = (): string =>
        `kubernetes: ${name}: ${count} of at most ${total} packages, ${elapsed(now() - start)}`;
      out.write(out.isTTY ? line() : `kubernetes: building ${name} (at most ${total} packages)\n`);
      return {
        advance: () => {
          count++;
          if (now() - shown < (out.isTTY ? TERMINAL_MS : LOG_MS)) return;
          shown = now();
          clear();
          out.write(out.isTTY ? line() : `${line()}\n`);
        },
        done: () => {
          clear();
          out.write(`kubernetes: built ${name}, ${elapsed(now() - start)} after the start\n`);
        },
      };
    },
  };
}

/** `2 min 5 s` */
export function elapsed(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
