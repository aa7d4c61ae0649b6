/** What each command does: asks the agent, shows the answer. Presentation only; every decision was the agent's. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { KubernetesClient } from '@tombolo/shared/kubernetes/client.ts';
import { reasonOf } from '@tombolo/shared/process/retry.ts';
import { readAddressFacts, readService } from './address-facts.ts';
import { AgentError } from './agent-error.ts';
import { formatAnnounced, formatAnnouncers } from './announcements-view.ts';
import type { AgentClient } from './client.ts';
import { formatClusters } from './clusters-view.ts';
import { type Announced, explain, formatExplanation } from './explain-view.ts';
import { clusterJson, type Json, serviceJson, statusJson, watchJson } from './json-output.ts';
import { formatPools, summarisePools } from './pools-view.ts';
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

function show<T>(
  output: Output,
  value: T,
  toJson: (value: T) => Json,
  toText: (value: T, now: number, paint: Paint) => string,
): Promise<void> {
  const { format, now, paint } = output;
  const text = format === 'json' ? `${JSON.stringify(toJson(value), undefined, 2)}\n` : toText(value, now(), paint);
  return output.write(text);
}

export async function showStatus(client: Agent, output: Output): Promise<void> {
  await show(output, await client.getStatus(), statusJson, formatStatus);
}

export async function showClusters(client: Agent, output: Output): Promise<void> {
  const clusters: api.Cluster[] = [];
  for await (const { cluster } of client.listClusters()) if (cluster) clusters.push(cluster);
  await show(output, clusters, (all) => ({ clusters: all.map(clusterJson) }), formatClusters);
}

export async function showServices(client: Agent, output: Output, filter: api.ServiceFilter): Promise<void> {
  const { revision, services } = await listServices(client, filter);
  await show(output, services, (all) => ({ revision, services: all.map(serviceJson) }), formatServices);
}

export async function showService(client: Agent, output: Output, { namespace, name }: api.ServiceName): Promise<void> {
  let { revision, service } = await client.getService(namespace, name);
  if (service?.moreBackends) {
    const whole = await listServices(client, { namespace, name, globalOnly: false });
    revision = whole.revision;
    service = whole.services[0] ?? service;
  }
  if (!service) throw new Error('Cannot show the Service: the agent sent none');
  await show(output, service, (whole) => ({ revision, service: serviceJson(whole) }), formatService);
}

type AnnouncedView = typeof formatAnnounced;

/** `view`: as addresses, or as routes. */
export async function showAnnounced(
  client: Agent,
  output: Output,
  request: api.ListAnnouncedAddressesRequest,
  view: AnnouncedView = formatAnnounced,
): Promise<void> {
  const addresses: api.AnnouncedAddress[] = [];
  for await (const { address } of client.listAnnouncedAddresses(request)) if (address) addresses.push(address);
  await show(output, addresses, (all) => ({ addresses: all }), view);
}

export async function showAnnouncers(client: Agent, output: Output): Promise<void> {
  await show(output, await client.listAnnouncers(), (all) => all, formatAnnouncers);
}

/** What is asked of the Kubernetes API, and within which time. */
export interface Cluster {
  readonly client: KubernetesClient;
  readonly metallbNamespace: string;
  readonly signal: AbortSignal;
}

export async function showPools({ client, metallbNamespace, signal }: Cluster, output: Output): Promise<void> {
  const facts = await readAddressFacts(client, metallbNamespace, signal);
  await show(output, summarisePools(facts), (pools) => ({ pools }), formatPools);
}

/** Without an agent all but the announcing is told. */
export async function showExplanation(
  cluster: Cluster,
  agent: Pick<Agent, 'listAnnouncedAddresses' | 'listAnnouncers'>,
  output: Output,
  wanted: api.ServiceName,
): Promise<void> {
  const { client, metallbNamespace, signal } = cluster;
  const service = await readService(client, wanted, signal);
  if (!service) throw new AgentError('not-found', `There is no Service ${wanted.namespace}/${wanted.name}`);
  const [facts, announced] = await Promise.all([
    readAddressFacts(client, metallbNamespace, signal),
    announcedOf(agent, wanted).catch((error: unknown): Announced => ({ unknown: reasonOf(error) })),
  ]);
  await show(output, explain(service, facts, announced), (explanation) => ({ ...explanation }), formatExplanation);
}

async function announcedOf(
  agent: Pick<Agent, 'listAnnouncedAddresses' | 'listAnnouncers'>,
  { namespace, name }: api.ServiceName,
): Promise<Announced> {
  const addresses: api.AnnouncedAddress[] = [];
  for await (const { address } of agent.listAnnouncedAddresses({ namespace, name }))
    if (address) addresses.push(address);
  return { addresses, announcers: await agent.listAnnouncers() };
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
    await output.write(output.format === 'json' ? jsonLine(watchJson(event)) : formatWatchLine(event, shown));
  }
}

const jsonLine = (value: Json | null): string => (value ? `${JSON.stringify(value)}\n` : '');

function wholeEvent(event: api.WatchServicesResponse, joiner: ServiceJoiner): api.WatchServicesResponse | undefined {
  if (event.event !== 'service') return event;
  const service = joiner.add(event.service);
  return service && { ...event, service };
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
