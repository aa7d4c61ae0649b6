/** The node agent: one per node. Reads arguments and environment, starts, and stops on a signal. The only file that exits. */
import { setFlagsFromString } from 'node:v8';
import { createLogger, type Logger } from '@tombolo/shared/process/logger.ts';
import { runAgent } from './compose.ts';
import { type Command, parseCommand, USAGE } from './config.ts';
import { uninstall } from './uninstall.ts';

function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'Stopping; the kernel keeps what it has');
      stop.abort();
    });
  }
  return stop.signal;
}

async function run(command: Command): Promise<number> {
  const log = createLogger('node-agent', command.kind === 'run' ? command.config.logLevel : command.logLevel);
  try {
    if (command.kind === 'run') await runAgent(command.config, log, stopSignal(log));
    else await uninstall(command, log);
    return 0;
  } catch (error) {
    log.error({ error }, `Cannot ${command.kind} the node agent`);
    return 1;
  }
}

async function main(): Promise<number> {
  const parsed = parseCommand(process.argv.slice(2), process.env);
  if (parsed === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!parsed.ok) {
    process.stderr.write(`Cannot start node-agent:\n  ${parsed.error.replaceAll('\n', '\n  ')}\n`);
    return 2;
  }
  return run(parsed.value);
}

// By itself V8 collects all garbage of a large heap every few seconds that little happens in: it thinks that costs nothing.
setFlagsFromString('--heap-growing-percent=100');

// What waits to try again keeps no process alive; and there may be nothing else that does.
setInterval(() => {}, 3_600_000);
process.exit(await main());
