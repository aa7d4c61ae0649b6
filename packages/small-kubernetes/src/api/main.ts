/** The small API server as a program: prints its URL when it serves, stops on SIGTERM and SIGINT. */
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { Command } from 'commander';
import { startKubernetesApi } from './start.ts';

const collect = (text: string, before: readonly string[] = []) => [...before, ...text.split(',')];

const { clusterName, ...options } = new Command('kubernetes-api')
  .description('A small Kubernetes API server for development: in memory, without authentication')
  .option('--host <address>', 'loopback, or an address of a network namespace without default route')
  .option('--port <number>', 'TCP port; 0 takes any free one', Number, 8080)
  .option('--unix <path>', 'unix socket to listen on, too')
  .option('--service-cidr <prefixes>', 'ranges of cluster addresses, at most one of each family', collect)
  .option('--cluster-name <name>', 'for the log', 'kubernetes')
  .parse()
  .opts<{ host?: string; port: number; unix?: string; serviceCidr?: string[]; clusterName: string }>();
const log = createLogger('kubernetes-api').child({ cluster: clusterName });

try {
  const api = await startKubernetesApi({ ...options, log });
  console.log(api.url);
  const stop = async () => {
    await api.close();
    process.exit(0);
  };
  process.once('SIGTERM', () => void stop()).once('SIGINT', () => void stop());
} catch (error) {
  log.error({ error }, 'Cannot start');
  process.exitCode = 1;
}
