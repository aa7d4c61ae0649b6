/** The program `tombolo`, also as `kubectl tombolo`: reads the environment, runs the command, gives the exit code. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { styleText } from 'node:util';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { CommanderError } from 'commander';
import { AgentError } from './agent-error.ts';
import type { Output } from './commands.ts';
import { createProgram } from './program.ts';

const EXIT = { unexpected: 1, usage: 2, unreachable: 3, notFound: 4 } as const;

function createOutput(format: Output['format']): Output {
  return {
    format,
    // Honours NO_COLOR, and leaves colour out where there is no terminal.
    paint: (style, text) => styleText(style, text, { stream: process.stdout }),
    now: Date.now,
    write: async (text) => {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain');
    },
  };
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
  if (!(error instanceof AgentError)) return EXIT.unexpected;
  if (error.kind === 'refused') return EXIT.unexpected;
  return error.kind === 'not-found' ? EXIT.notFound : EXIT.unreachable;
}

// A reader that has seen enough, as in `tombolo services | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? 0 : EXIT.unexpected),
);

const program = createProgram({
  name: path.basename(process.argv0) === 'kubectl-tombolo' ? 'kubectl tombolo' : 'tombolo',
  version: JSON.parse(readFileSync(path.join(import.meta.dirname, '../package.json'), 'utf8')).version,
  output: createOutput,
  read: (file) => (file === '-' ? text(process.stdin) : readFile(file, 'utf8')),
});

try {
  await program.parseAsync();
} catch (error) {
  // commander has printed its own.
  if (!(error instanceof CommanderError)) {
    process.stderr.write(`tombolo: ${reasonOf(error)}\n`);
  }
  process.exitCode = exitCodeOf(error);
}
