/**
 * Chooses one usable backend of a Service for a caller. Pure: randomness is handed in. With a client key the choice is
 * rendezvous hashing, so that a key moves only when its own backend goes away.
 */
import { createHash } from 'node:crypto';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { ServicePort } from '@tombolo/shared/model/service.ts';
import type { Decision, FrontendGroup, ServiceExplanation } from '@tombolo/shared/model/service-table.ts';
import { IP_FAMILIES } from './enum-names.ts';

export interface Resolution {
  readonly kind: 'found';
  readonly decision: Decision;
  readonly port: ServicePort;
  readonly reason: string;
  readonly alternatives: number;
}

export interface Refusal {
  readonly kind: 'not-found' | 'failed-precondition' | 'unavailable';
  readonly message: string;
}

export interface ResolveContext {
  /** The agent's own cluster, for messages. */
  readonly cluster: string;
  /** 0 to below 1. */
  random(): number;
}

export function resolveBackend(
  entry: ServiceExplanation | undefined,
  request: api.ResolveBackendRequest,
  { cluster, random }: ResolveContext,
): Resolution | Refusal {
  const service = `Service ${request.namespace}/${request.name}`;
  if (!entry) return refuse('not-found', `${service} is not known to any cluster`);
  if (!entry.service) {
    return refuse('not-found', `${service} does not exist in cluster ${cluster}; only other clusters have it`);
  }
  const groups = entry.groups.filter((group) => matchesRequest(group, request));
  const ports = distinctPorts(groups);
  if (ports.length > 1) {
    return refuse('failed-precondition', `${service} has ${listPorts(ports)}: say which port and protocol`);
  }
  const group = preferredGroup(groups);
  if (!group) {
    const known = distinctPorts(entry.groups);
    const has = known.length > 0 ? `it has ${listPorts(known)}` : 'it has no ports';
    return refuse('not-found', `${service} has no ${describeWanted(request)}; ${has}`);
  }
  const selected = group.decisions.filter(({ verdict }) => verdict === 'selected');
  const decision = request.clientKey === '' ? pickAny(selected, random) : pickFor(selected, request.clientKey);
  if (!decision) {
    return refuse('unavailable', `${service} port ${describePort(group.port)} has ${describeUnusable(group)}`);
  }
  const how = request.clientKey === '' ? 'chosen at random' : 'chosen by the client key';
  return {
    kind: 'found',
    decision,
    port: group.port,
    reason: `${how} from ${count(selected.length, 'usable backend')}: ${decision.detail}`,
    alternatives: selected.length - 1,
  };
}

const refuse = (kind: Refusal['kind'], message: string): Refusal => ({ kind, message });

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

function matchesRequest({ port, family }: FrontendGroup, request: api.ResolveBackendRequest): boolean {
  return (
    (request.port !== 'portName' || request.portName === port.name) &&
    (request.port !== 'portNumber' || request.portNumber === port.port) &&
    (request.protocol === 'PROTOCOL_UNSPECIFIED' || request.protocol === `PROTOCOL_${port.protocol}`) &&
    (request.family === 'IP_FAMILY_UNSPECIFIED' || request.family === IP_FAMILIES[family])
  );
}

/** A caller inside the cluster uses the ClusterIP, whose choice may differ from a NodePort's. */
function preferredGroup(groups: readonly FrontendGroup[]): FrontendGroup | undefined {
  const inner = groups.filter(({ frontends }) => frontends.some(({ kind }) => kind === 'ClusterIP'));
  const candidates = inner.length > 0 ? inner : groups;
  const usable = candidates.find(({ decisions }) => decisions.some(({ verdict }) => verdict === 'selected'));
  return usable ?? candidates[0];
}

function pickAny(selected: readonly Decision[], random: () => number): Decision | undefined {
  const total = selected.reduce((sum, { weight = 1 }) => sum + weight, 0);
  let left = random() * total;
  for (const decision of selected) {
    left -= decision.weight ?? 1;
    if (left < 0) return decision;
  }
  return selected.at(-1);
}

function pickFor(selected: readonly Decision[], clientKey: string): Decision | undefined {
  const scored = selected.map((decision) => ({ decision, score: scoreOf(clientKey, decision) }));
  return scored.sort((a, b) => b.score - a.score)[0]?.decision;
}

/** Weighted rendezvous hashing: -weight / ln(h), with h evenly between 0 and 1 (Schindelhauer and Schomaker, 2005). */
function scoreOf(clientKey: string, { backend, weight = 1 }: Decision): number {
  const digest = createHash('sha1')
    .update(JSON.stringify([clientKey, backend.address, backend.port]))
    .digest();
  return -weight / Math.log((digest.readUIntBE(0, 6) + 0.5) / 2 ** 48);
}

function distinctPorts(groups: readonly FrontendGroup[]): readonly ServicePort[] {
  const byNumber = new Map(groups.map(({ port }) => [`${port.port}/${port.protocol}`, port]));
  return [...byNumber.values()].sort((a, b) => a.port - b.port);
}

const describePort = ({ name, port, protocol }: ServicePort): string =>
  name === '' ? `${port}/${protocol}` : `${name} (${port}/${protocol})`;

const listPorts = (ports: readonly ServicePort[]): string =>
  `${ports.length === 1 ? 'port' : 'ports'} ${ports.map(describePort).join(', ')}`;

function describeWanted(request: api.ResolveBackendRequest): string {
  const { protocol, family } = request;
  const words = ['port'];
  if (request.port === 'portName') words.push(JSON.stringify(request.portName));
  if (request.port === 'portNumber') words.push(`${request.portNumber}`);
  if (protocol !== 'PROTOCOL_UNSPECIFIED') words.push(`for ${protocol.replace('PROTOCOL_', '')}`);
  if (family !== 'IP_FAMILY_UNSPECIFIED') words.push(family === 'IP_FAMILY_IPV4' ? 'over IPv4' : 'over IPv6');
  return words.join(' ');
}

function describeUnusable({ decisions }: FrontendGroup): string {
  if (decisions.length === 0) return 'no backends';
  const byVerdict = Map.groupBy(decisions, ({ verdict }) => verdict);
  const parts = [...byVerdict].map(([verdict, same]) => `${same.length} ${verdict}`).join(', ');
  return `no usable backend among ${decisions.length}: ${parts}`;
}
