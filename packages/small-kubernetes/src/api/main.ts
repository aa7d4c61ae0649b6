/** The development API server as a program: prints its URL when it serves, stops on SIGTERM and SIGINT. */
import { createLogger } from '@tombolo/shared/process/logger.ts';
import { Command } from 'commander';
import { startKubernetesApi } from './start.ts';

const collect = (text: string, before: readonly string[] = []) => [...before, ...text.split(',')];

const flags = new Command('kubernetes-api')
  .description('A small Kubernetes API server for development: in memory, without authentication')
  .option('--host <address>', 'loopback, or an address of a network namespace without default route', '127.0.0.1')
  .option('--port <number>', 'TCP port; 0 takes any free one', Number)
  .option('--unix <path>', 'unix socket to listen on, too or instead')
  .option('--service-cidr <prefixes>', 'ranges of cluster addresses, at most one of each family', collect)
  .option('--cluster-name <name>', 'for the log', 'kubernetes')
  .parse()
  .opts<{
    host: string;
    port?: number;
    unix?: string;
    serviceCidr?: string[];
    clusterName: string;
  }>();

const log = createLogger('kubernetes-api');

try {
  const api = await startKubernetesApi({
    listen: {
      host: flags.host,
      ...(flags.unix === undefined ? { port: flags.port ?? 8080 } : { unixSocket: flags.unix }),
      ...(flags.port === undefined ? {} : { port: flags.port }),
    },
    clusterName: flags.clusterName,
    log,
    ...(flags.serviceCidr ? { serviceCidrs: flags.serviceCidr } : {}),
  });
  console.log(api.url);
  const stop = () => {
    api.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error }, 'Unclean shutdown');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
} catch (error) {
  log.error({ error }, 'Cannot start');
  process.exitCode = 1;
}
