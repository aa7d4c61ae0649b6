/** The program: reads arguments and environment, starts, and stops on a signal. The only file that exits. */
import { createLogger, type Logger } from '@tombolo/shared/process/logger.ts';
import { startApiserver } from './compose.ts';
import { type ApiserverConfig, parseApiserverConfig, USAGE } from './config.ts';

const STOP_WITHIN_MS = 5000;

async function run(config: ApiserverConfig, log: Logger): Promise<number> {
  const apiserver = await startApiserver(config, log);
  log.info({ cluster: config.cluster, healthPort: apiserver.healthPort }, 'clustermesh-apiserver runs');
  const stopped = Promise.withResolvers<number>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'Stopping; entries stay in etcd');
      setTimeout(() => stopped.resolve(1), STOP_WITHIN_MS).unref();
      apiserver.stop().then(() => stopped.resolve(0), stopped.reject);
    });
  }
  apiserver.done.catch(stopped.reject);
  return stopped.promise;
}

async function main(): Promise<number> {
  const parsed = parseApiserverConfig(process.argv.slice(2), process.env);
  if (parsed === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (!parsed.ok) {
    process.stderr.write(`Cannot start clustermesh-apiserver:\n  ${parsed.error.replaceAll('\n', '\n  ')}\n`);
    return 2;
  }
  const log = createLogger('clustermesh-apiserver', parsed.value.logLevel);
  try {
    return await run(parsed.value, log);
  } catch (error) {
    log.error({ error }, 'clustermesh-apiserver ends');
    return 1;
  }
}

process.exit(await main());
