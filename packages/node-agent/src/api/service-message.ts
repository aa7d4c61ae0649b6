/**
 * A table entry as the API's `Service` messages: one, or several where the backends do not fit into the limit. Pure.
 * Texts that come from other clusters are cut, so that no single entry can exceed a message.
 */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { timestampFromMs } from '@tombolo/proto/timestamp.ts';
import type { Origin, Protocol, ServicePort } from '@tombolo/shared/model/service.ts';
import { splitServiceKey } from '@tombolo/shared/model/service.ts';
import type { Decision, Frontend, FrontendGroup, ServiceExplanation } from '@tombolo/shared/model/service-table.ts';
import { chunked } from './chunks.ts';
import { AFFINITIES, BACKEND_STATES, CLIENTS, FRONTEND_KINDS, IP_FAMILIES, SOURCES, VERDICTS } from './enum-names.ts';

/** Far below gRPC's 4 MiB, so that neither other alphabets nor an estimate that is off can reach it. */
export const MESSAGE_BYTES = 256 * 1024;
export const MAX_TEXT = 1_000;
const MAX_PORT_NAMES = 100;
/** What a message takes beside its texts. */
const FIXED_BYTES = 64;

export interface ServicePart {
  readonly service: api.Service;
  /** About how many bytes the message takes. */
  readonly bytes: number;
}

/** All but the last have `moreBackends` set. */
export function* serviceParts(entry: ServiceExplanation, limit: number = MESSAGE_BYTES): Generator<ServicePart> {
  const header = serviceHeader(entry);
  const headerBytes = FIXED_BYTES + header.groups.length * FIXED_BYTES * 2;
  const chunks = chunked(listedBackends(entry), ({ backend }) => backendBytes(backend), limit - headerBytes);
  for (const { items, bytes, isLast } of chunks) {
    const ofList = (list: number) => items.filter((item) => item.list === list).map(({ backend }) => backend);
    const groups = header.groups.map((group, i) => ({ ...group, backends: ofList(i) }));
    const unmatchedBackends = ofList(groups.length);
    yield { service: { ...header, groups, unmatchedBackends, moreBackends: !isLast }, bytes: headerBytes + bytes };
  }
}

/** The backends of the groups, by their number, and then the unmatched ones. */
function* listedBackends({ groups, unmatched }: ServiceExplanation) {
  const lists = [...groups.map(({ decisions }) => decisions), unmatched];
  for (const [list, decisions] of lists.entries()) {
    for (const decision of decisions) yield { list, backend: backendMessage(decision) };
  }
}

function serviceHeader({ key, service, programmed, affinity, groups, unmatched }: ServiceExplanation): api.Service {
  const selected = groups.flatMap((group) => group.decisions.filter(({ verdict }) => verdict === 'selected'));
  return {
    ...splitServiceKey(key),
    local: service !== undefined,
    global: service?.global ?? false,
    shared: service?.shared ?? false,
    affinity: AFFINITIES[affinity],
    sessionAffinitySeconds: service?.sessionAffinitySeconds ?? 0,
    origin: service ? originMessage(service.origin) : null,
    groups: groups.map(groupHeader),
    unmatchedBackends: [],
    selectedCount: selected.length,
    backendCount: groups.reduce((sum, group) => sum + group.decisions.length, unmatched.length),
    moreBackends: false,
    programmed,
  };
}

const groupHeader = (group: FrontendGroup): api.FrontendGroup => ({
  port: servicePortMessage(group.port),
  family: IP_FAMILIES[group.family],
  clients: CLIENTS[group.clients],
  frontends: group.frontends.map(frontendMessage),
  refused: group.refused.map(({ frontend, reason }) => ({ frontend: frontendMessage(frontend), reason: cut(reason) })),
  backends: [],
});

export const servicePortMessage = (port: ServicePort): api.ServicePort => ({
  ...port,
  protocol: protocolMessage(port.protocol),
});

const frontendMessage = (frontend: Frontend): api.Frontend => ({
  ...frontend,
  kind: FRONTEND_KINDS[frontend.kind],
  protocol: protocolMessage(frontend.protocol),
});

export function backendMessage({ backend, verdict, detail }: Decision): api.Backend {
  return {
    ...backend,
    protocol: protocolMessage(backend.protocol),
    portNames: backend.portNames.slice(0, MAX_PORT_NAMES).map(cut),
    cluster: backend.cluster.name,
    clusterId: backend.cluster.id,
    node: cut(backend.node),
    zone: cut(backend.zone),
    state: BACKEND_STATES[backend.state],
    origin: originMessage(backend.origin),
    verdict: VERDICTS[verdict],
    reason: cut(detail),
  };
}

function backendBytes(backend: api.Backend): number {
  const texts = [backend.address, backend.cluster, backend.node, backend.zone, backend.reason, ...backend.portNames];
  return texts.reduce((sum, text) => sum + text.length, FIXED_BYTES);
}

export const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text);

const originMessage = ({ source, revision, at }: Origin): api.Origin => ({
  source: SOURCES[source],
  revision,
  learnedAt: timestampFromMs(at),
});

const protocolMessage = (protocol: Protocol): api.Protocol => `PROTOCOL_${protocol}`;
