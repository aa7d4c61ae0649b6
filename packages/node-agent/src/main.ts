/** The node agent: one per node. Reads arguments and environment, starts, and stops on a signal. The only file that exits. */
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { runAgent } from './compose.ts';
import { type AgentConfig, parseAgentConfig, USAGE } from './config.ts';

async function run(config: AgentConfig): Promise<number> {
  const log = createLogger('node-agent', config.logLevel);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'Stopping; the kernel keeps what it has');
      stop.abort();
    });
  }
  try {
    await runAgent(config, log, stop.signal);
    return 0;
  } catch (error) {
    log.error({ error }, 'Cannot run the node agent');
    return 1;
  }
}

async function main(): Promise<number> {
  const parsed = parseAgentConfig(process.argv.slice(2), process.env);
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

process.exit(await main());
