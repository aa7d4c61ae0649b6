/** What each command does: asks the agent, shows the answer. Presentation only; every decision was the agent's. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { AgentClient } from './client.ts';
import { formatClusters } from './clusters-view.ts';
import { clusterJson, type Json, serviceJson, statusJson, watchJson } from './json-output.ts';
import { ServiceJoiner } from './service-parts.ts';
import { formatService } from './service-view.ts';
import { formatServices, formatWatchLine } from './services-view.ts';
import { formatStatus } from './status-view.ts';
import type { Paint } from './table.ts';

/** What the agent is asked for here. */
export type Agent = Omit<AgentClient, 'close'>;

export interface Output {
  readonly format: 'table' | 'json';
  readonly paint: Paint;
  now(): number;
  /** Resolves when more may be written. */
  write(text: string): Promise<void>;
}

const writeJson = (output: Output, value: Json): Promise<void> =>
  output.write(`${JSON.stringify(value, undefined, 2)}\n`);

export async function showStatus(client: Agent, output: Output): Promise<void> {
  const status = await client.getStatus();
  if (output.format === 'json') return writeJson(output, statusJson(status));
  await output.write(formatStatus(status, output.now(), output.paint));
}

export async function showClusters(client: Agent, output: Output): Promise<void> {
  const clusters: api.Cluster[] = [];
  for await (const { cluster } of client.listClusters()) if (cluster) clusters.push(cluster);
  if (output.format === 'json') return writeJson(output, { clusters: clusters.map(clusterJson) });
  await output.write(formatClusters(clusters, output.now(), output.paint));
}

export async function showServices(client: Agent, output: Output, filter: api.ServiceFilter): Promise<void> {
  const { revision, services } = await listServices(client, filter);
  if (output.format === 'json') return writeJson(output, { revision, services: services.map(serviceJson) });
  await output.write(formatServices(services, output.now(), output.paint));
}

export async function showService(client: Agent, output: Output, { namespace, name }: api.ServiceName): Promise<void> {
  let { revision, service } = await client.getService(namespace, name);
  if (service?.moreBackends) {
    const whole = await listServices(client, { namespace, name, globalOnly: false });
    revision = whole.revision;
    service = whole.services[0] ?? service;
  }
  if (!service) throw new Error('Cannot show the Service: the agent sent none');
  if (output.format === 'json') return writeJson(output, { revision, service: serviceJson(service) });
  await output.write(formatService(service, output.now(), output.paint));
}

/** Goes on until the agent ends the stream or the process is ended. */
export async function watchServices(client: Agent, output: Output, filter: api.ServiceFilter): Promise<void> {
  const joiner = new ServiceJoiner();
  let shown = 0;
  for await (const part of client.watchServices(filter)) {
    const event = wholeEvent(part, joiner);
    if (!event) continue;
    if (event.event === 'snapshotBegin') shown = 0;
    if (event.event === 'service') shown++;
    if (output.format === 'table') await output.write(formatWatchLine(event, shown));
    else await output.write(jsonLine(watchJson(event)));
  }
}

const jsonLine = (value: Json | null): string => (value ? `${JSON.stringify(value)}\n` : '');

function wholeEvent(event: api.WatchServicesResponse, joiner: ServiceJoiner): api.WatchServicesResponse | undefined {
  if (event.event !== 'service') return event;
  const service = joiner.add(event.service);
  return service && { revision: event.revision, event: 'service', service };
}

async function listServices(
  client: Agent,
  filter: api.ServiceFilter,
): Promise<{ readonly revision: number; readonly services: readonly api.Service[] }> {
  const joiner = new ServiceJoiner();
  const services: api.Service[] = [];
  let revision = 0;
  for await (const message of client.listServices(filter)) {
    revision = message.revision;
    for (const part of message.services) {
      const service = joiner.add(part);
      if (service) services.push(service);
    }
  }
  return { revision, services };
}
