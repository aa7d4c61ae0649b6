/** `tombolo service` for people: each port with its backends, the used ones first, the others with the reason. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { ageOf } from './age.ts';
import { scopeOf } from './services-view.ts';
import { type Cell, formatTable, type Paint, printable } from './table.ts';
import {
  affinityWord,
  backendStateWord,
  clientsWord,
  familyWord,
  frontendKindWord,
  protocolWord,
  sourceWord,
} from './words.ts';

const HEADER = ['USED', 'BACKEND', 'CLUSTER', 'NODE', 'ZONE', 'STATE', 'SOURCE', 'AGE', 'REASON'];

export function formatService(service: api.Service, now: number, paint: Paint): string {
  const sections = [
    formatHead(service, now, paint),
    ...service.groups.map((group) => formatGroup(group, now, paint)),
    ...(service.unmatchedBackends.length > 0
      ? [`Not for any port here:\n${formatBackends(service.unmatchedBackends, now, paint)}`]
      : []),
  ];
  return sections.join('\n');
}

function formatHead(service: api.Service, now: number, paint: Paint): string {
  const sticky = service.sessionAffinitySeconds;
  const traits = [
    scopeOf(service).replace(',', ', '),
    `affinity ${affinityWord(service.affinity)}`,
    ...(sticky > 0 ? [`clients stay for ${sticky} s`] : []),
  ];
  const title = `${paint('bold', `${service.namespace}/${service.name}`)}: ${traits.join(', ')}\n`;
  const left = service.local && !service.programmed;
  const head = left
    ? `${title}Not served by this node's datapath, which serves only global Services of namespaces that take part.\n`
    : title;
  if (!service.origin) return `${head}This cluster has no such Service.\n`;
  const { source, revision, learnedAt } = service.origin;
  return `${head}Read from ${sourceWord(source)} at revision ${revision}, age ${ageOf(learnedAt, now)}\n`;
}

function formatGroup(group: api.FrontendGroup, now: number, paint: Paint): string {
  const { port, family, clients, frontends, refused, backends } = group;
  const used = backends.filter(isUsed).length;
  const name = port ? `${port.name ? `${port.name} ` : ''}${port.port}/${protocolWord(port.protocol)}` : '?';
  const list = frontends.map(formatFrontend).join(', ');
  const none = refused.length > 0 ? 'none' : 'none (headless)';
  const whose = clientsWord(clients);
  const from = whose === 'inside' || whose === 'outside' ? `, from ${whose} the cluster` : '';
  const title = `Port ${name}, ${familyWord(family)}${from}: ${used} of ${backends.length} backends used\n`;
  const left = refused.map(
    ({ frontend, reason }) => `Not served: ${frontend && formatFrontend(frontend)}: ${printable(reason)}\n`,
  );
  const where = `Frontends: ${list || none}\n${left.join('')}`;
  return title + where + (backends.length > 0 ? formatBackends(backends, now, paint) : '');
}

const formatFrontend = ({ kind, address, port }: api.Frontend): string =>
  `${frontendKindWord(kind)} ${formatEndpoint(address, port)}`;

const isUsed = ({ verdict }: api.Backend): boolean => verdict === 'VERDICT_SELECTED';

function formatBackends(backends: readonly api.Backend[], now: number, paint: Paint): string {
  const ordered = [...backends.filter(isUsed), ...backends.filter((backend) => !isUsed(backend))];
  const rows = ordered.map((backend) => row(backend, now));
  return formatTable(HEADER, rows, paint, '  ');
}

function row(backend: api.Backend, now: number): readonly Cell[] {
  const source = backend.origin ? `${sourceWord(backend.origin.source)} ${backend.origin.revision}`.trim() : '';
  return [
    isUsed(backend) ? { text: 'yes', style: 'green' } : { text: 'no', style: 'yellow' },
    formatEndpoint(backend.address, backend.port),
    backend.stale ? { text: `${backend.cluster} (stale)`, style: 'yellow' } : backend.cluster,
    backend.node,
    backend.zone,
    backendStateWord(backend.state),
    source,
    ageOf(backend.origin?.learnedAt ?? null, now),
    backend.reason,
  ];
}

const formatEndpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
