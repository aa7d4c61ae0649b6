/** The node agent: one per node. Reads the command line, handles signals, exits. */
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { startAgent } from './compose.ts';
import { parseAgentConfig, USAGE } from './config.ts';

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const config = parseAgentConfig(args);
if (!config.ok) {
  process.stderr.write(`${config.error}\n\n${USAGE}`);
  process.exit(2);
}
const log = createLogger('node-agent', config.value.logLevel);
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    log.info({ signal }, 'Stopping; the kernel keeps what it has');
    stop.abort();
  });
}

try {
  const agent = await startAgent(config.value, log, stop.signal);
  await agent.ended;
  process.exit(0);
} catch (error) {
  log.error({ error }, 'Cannot run the node agent');
  process.exit(1);
}
