/** The command line: commands, options and help texts. What the commands do is in `commands.ts`. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ApiAddress, DEFAULT_ADDRESS, parseApiAddress } from '@tombolo/proto/address.ts';
import type { ServiceFilter, ServiceName } from '@tombolo/proto/generated/tombolo-v1.ts';
import { connectKubernetes } from '@tombolo/shared/kubernetes/client.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { formatAnnounced, formatRoutes } from './announcements-view.ts';
import { AgentClient } from './client.ts';
import {
  type Cluster,
  type Output,
  showAnnounced,
  showAnnouncers,
  showClusters,
  showExplanation,
  showPools,
  showService,
  showServices,
  showStatus,
  watchServices,
} from './commands.ts';
import { convertMetallbConfig } from './metallb-config.ts';

export interface ProgramOptions {
  /** As the user typed it: `tombolo`, or `kubectl tombolo`. */
  readonly name: string;
  readonly version: string;
  output(format: Output['format']): Output;
  /** The text of a file; of standard input for `-`. */
  read(file: string): Promise<string>;
}

interface GlobalOptions {
  readonly address: ApiAddress;
  readonly timeout: number;
}

interface CommandOptions {
  readonly output: Output['format'];
  readonly namespace?: string;
  readonly global?: boolean;
}

interface ClusterOptions extends CommandOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly metallbNamespace: string;
}

const EXIT_CODES = `
Exit codes:
  0  done
  1  the agent answered with an error, or something unexpected happened
  2  the command line is wrong
  3  the agent cannot be reached, did not answer in time, or went away
  4  there is no such Service`;

export function createProgram({ name, version, output, read }: ProgramOptions): Command {
  const program = new Command(name)
    .description(
      'Shows what the Tombolo agent of a node knows and does: services, their backends, clusters, addresses.',
    )
    .version(version)
    .addOption(
      new Option('--address <address>', 'where the agent is: unix:///path or host:port')
        .env('TOMBOLO_ADDRESS')
        .default(parseAddress(DEFAULT_ADDRESS), DEFAULT_ADDRESS)
        .argParser(parseAddress),
    )
    .addOption(
      new Option('--timeout <seconds>', 'how long to wait for an answer').default(10, '10').argParser(parseSeconds),
    )
    .addHelpText('after', EXIT_CODES)
    .helpCommand(false)
    .exitOverride();

  const add = (usage: string, description: string, examples: readonly string[], to = program): Command => {
    const lines = examples.map((example) => `  ${name} ${example}`);
    return to
      .command(usage)
      .description(description)
      .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
      .addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
  };

  const run = async (format: Output['format'], body: (client: AgentClient, output: Output) => Promise<void>) => {
    const { address, timeout } = program.opts<GlobalOptions>();
    const client = new AgentClient(address, timeout * 1000);
    try {
      await body(client, output(format));
    } finally {
      client.close();
    }
  };

  add('status', 'The agent: who it is, its datapath and the state of its parts', ['status', 'status -o json']).action(
    (options: CommandOptions) => run(options.output, showStatus),
  );

  add('clusters', 'The clusters of the mesh as this agent hears them', ['clusters', 'clusters -o json']).action(
    (options: CommandOptions) => run(options.output, showClusters),
  );

  add('services', 'The services, with how many of their backends are used', [
    'services',
    'services --global -n shop',
    'services -o json',
  ])
    .addOption(ONLY_NAMESPACE)
    .addOption(ONLY_GLOBAL)
    .action((options: CommandOptions) =>
      run(options.output, (client, out) => showServices(client, out, filterOf(options))),
    );

  add('service <service>', 'One service: its frontends, its backends, and why each is used or not', [
    'service shop/cart',
    'service cart -n shop',
    'service shop/cart -o json',
  ])
    .option('-n, --namespace <namespace>', 'the namespace, where SERVICE has none (default: "default")')
    .action((service: string, options: CommandOptions) => {
      const wanted = parseService(service, options.namespace);
      if (!wanted.ok) return program.error(`error: ${wanted.error}`);
      return run(options.output, (client, out) => showService(client, out, wanted.value));
    });

  add('watch [service]', 'The services, then every change as it happens, until interrupted', [
    'watch',
    'watch shop/cart',
    'watch -n shop -o json',
  ])
    .addOption(ONLY_NAMESPACE)
    .addOption(ONLY_GLOBAL)
    .action((service: string | undefined, options: CommandOptions) => {
      const wanted = service === undefined ? ok({}) : parseService(service, options.namespace);
      if (!wanted.ok) return program.error(`error: ${wanted.error}`);
      const filter = { ...filterOf(options), ...wanted.value };
      return run(options.output, (client, out) => watchServices(client, out, filter));
    });

  const lb = program.command('lb').description('Addresses of Services: what the network is told of them, and by whom');
  const ofService = (service: string | undefined, options: CommandOptions): Result<ServiceName> =>
    service === undefined
      ? ok({ namespace: options.namespace ?? '', name: '' })
      : parseService(service, options.namespace);

  for (const [word, description, view] of [
    ['services', 'The addresses of services, who answers for each, and why nobody does', formatAnnounced],
    ['routes', 'What this node tells routers by BGP', formatRoutes],
  ] as const) {
    add(`${word} [service]`, description, [`lb ${word}`, `lb ${word} shop/cart`, `lb ${word} -o json`], lb)
      .addOption(ONLY_NAMESPACE)
      .action((service: string | undefined, options: CommandOptions) => {
        const wanted = ofService(service, options);
        if (!wanted.ok) return program.error(`error: ${wanted.error}`);
        return run(options.output, (client, out) => showAnnounced(client, out, wanted.value, view));
      });
  }

  const ask = async (
    { output: format, kubeconfig, context, metallbNamespace }: ClusterOptions,
    body: (cluster: Cluster, agent: AgentClient, output: Output) => Promise<void>,
  ) => {
    const client = connectKubernetes({ kubeconfig, context });
    const signal = AbortSignal.timeout(program.opts<GlobalOptions>().timeout * 1000);
    try {
      await run(format, (agent, out) => body({ client, metallbNamespace, signal }, agent, out));
    } finally {
      client.close();
    }
  };
  const addAsking = (usage: string, description: string, examples: readonly string[]): Command =>
    add(usage, description, examples, lb).addOption(KUBECONFIG).addOption(CONTEXT).addOption(METALLB_NAMESPACE);

  addAsking('pools', 'The pools of addresses: how much of each is given, to whom, and what is wrong about it', [
    'lb pools',
    'lb pools -o json',
  ]).action((options: ClusterOptions) => ask(options, (cluster, _, out) => showPools(cluster, out)));

  addAsking(
    'explain <service>',
    'Which address a Service has and why, or why it waits; who announces it, and why others do not',
    ['lb explain shop/cart'],
  )
    .option('-n, --namespace <namespace>', 'the namespace, where SERVICE has none (default: "default")')
    .action((service: string, options: ClusterOptions) => {
      const wanted = parseService(service, options.namespace);
      if (!wanted.ok) return program.error(`error: ${wanted.error}`);
      return ask(options, (cluster, agent, out) => showExplanation(cluster, agent, out, wanted.value));
    });

  lb.command('convert-configmap <file>')
    .description(
      'The objects that say what a ConfigMap of MetalLB before 0.13 says, as YAML; FILE, or - for standard input',
    )
    .addHelpText('after', `\nExamples:\n  ${name} lb convert-configmap config.yaml | kubectl apply -f -`)
    .action(async (file: string) => {
      const converted = convertMetallbConfig(await read(file));
      if (!converted.ok) return program.error(converted.error.replace(/^/gm, 'error: '));
      const { notes, yaml } = converted.value;
      await output('table').write([...notes.map((note) => `# ${note}\n`), yaml].join(''));
    });

  add('peers', 'Who announces: agents that answer ARP and NDP, and the routers of this node', ['lb peers'], lb).action(
    (options: CommandOptions) => run(options.output, showAnnouncers),
  );
  return program;
}

/** In a pod its account is used, elsewhere what kubectl uses. */
const KUBECONFIG = new Option('--kubeconfig <file>', 'how to reach the Kubernetes API')
  .env('KUBECONFIG')
  .default(
    process.env['KUBERNETES_SERVICE_HOST'] === undefined ? join(homedir(), '.kube/config') : undefined,
    'as kubectl; in a pod, its account',
  );
const CONTEXT = new Option('--context <context>', 'a context of that file');
const METALLB_NAMESPACE = new Option('--metallb-namespace <namespace>', "where MetalLB's pools are").default(
  'metallb-system',
);
const ONLY_NAMESPACE = new Option('-n, --namespace <namespace>', 'only this namespace');
const ONLY_GLOBAL = new Option('--global', 'only services that this cluster has declared global');

const filterOf = ({ namespace = '', global = false }: CommandOptions): ServiceFilter => ({
  namespace,
  name: '',
  globalOnly: global,
});

function parseAddress(text: string): ApiAddress {
  const address = parseApiAddress(text);
  if (!address.ok) throw new InvalidArgumentError(address.error);
  return address.value;
}

function parseSeconds(text: string): number {
  const seconds = Number(text.replace(/s$/, ''));
  if (seconds > 0 && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError(`expected seconds above 0: current value is ${JSON.stringify(text)}`);
}

/** `NS/NAME`, or `NAME` with the namespace from `-n`. */
export function parseService(text: string, namespace: string | undefined): Result<ServiceName> {
  const parts = text.split('/');
  const [own, name] = parts.length === 1 ? [namespace ?? 'default', text] : parts;
  const isUnlike = parts.length > 1 && namespace !== undefined && namespace !== own;
  if (parts.length <= 2 && own && name && !isUnlike) return ok({ namespace: own, name });
  const given = namespace === undefined ? text : `${text} -n ${namespace}`;
  return fail(`expected NAMESPACE/NAME or NAME -n NAMESPACE: current value is ${given}`);
}
