/** The shapes of `-o json`. They are documented in docs/api.md and only ever grow. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { msFromTimestamp } from '@tombolo/proto/timestamp.ts';
import * as words from './words.ts';

/** What `JSON.stringify` takes. */
export type Json = object;

/** RFC 3339; null when never or unknown. */
function time(timestamp: api.Timestamp | null): string | null {
  return timestamp ? new Date(msFromTimestamp(timestamp)).toISOString() : null;
}

export function statusJson(status: api.GetStatusResponse): Json {
  return {
    cluster: status.cluster,
    clusterId: status.clusterId,
    node: status.node,
    version: status.version,
    datapath: status.datapath,
    datapathReason: status.datapathReason,
    startedAt: time(status.startedAt),
    tableRevision: status.tableRevision,
    services: status.services,
    clusters: status.clusters,
    clustersHeard: status.clustersHeard,
    ready: status.ready,
    parts: status.parts.map(({ name, state, reason }) => ({ name, state: words.healthWord(state), reason })),
  };
}

export function clusterJson(cluster: api.Cluster): Json {
  return {
    name: cluster.name,
    id: cluster.id === 0 ? null : cluster.id,
    local: cluster.local,
    control: words.controlWord(cluster.control),
    since: time(cluster.since),
    heardAt: time(cluster.heardAt),
    endpoints: cluster.endpoints,
    services: cluster.services,
    backends: cluster.backends,
    nodes: cluster.nodes,
    failures: cluster.failures,
    lastError: cluster.lastError,
    warnings: cluster.warnings,
    quarantined: cluster.quarantined.map(({ key, reason, at }) => ({ key, reason, at: time(at) })),
    quarantinedCount: cluster.quarantinedCount,
  };
}

export function serviceJson(service: api.Service): Json {
  return {
    namespace: service.namespace,
    name: service.name,
    local: service.local,
    global: service.global,
    shared: service.shared,
    programmed: service.programmed,
    affinity: words.affinityWord(service.affinity),
    sessionAffinitySeconds: service.sessionAffinitySeconds,
    origin: originJson(service.origin),
    groups: service.groups.map(groupJson),
    unmatchedBackends: service.unmatchedBackends.map(backendJson),
    selectedCount: service.selectedCount,
    backendCount: service.backendCount,
  };
}

function groupJson({ port, family, frontends, refused, backends }: api.FrontendGroup): Json {
  return {
    port: port && { ...port, protocol: words.protocolWord(port.protocol) },
    family: words.familyWord(family),
    frontends: frontends.map(frontendJson),
    refused: refused.map(({ frontend, reason }) => ({ frontend: frontend && frontendJson(frontend), reason })),
    backends: backends.map(backendJson),
  };
}

const frontendJson = ({ kind, address, port, protocol }: api.Frontend): Json => ({
  kind: words.frontendKindWord(kind),
  address,
  port,
  protocol: words.protocolWord(protocol),
});

function backendJson(backend: api.Backend): Json {
  return {
    address: backend.address,
    port: backend.port,
    protocol: words.protocolWord(backend.protocol),
    portNames: backend.portNames,
    cluster: backend.cluster,
    clusterId: backend.clusterId,
    node: backend.node,
    zone: backend.zone,
    state: words.backendStateWord(backend.state),
    stale: backend.stale,
    origin: originJson(backend.origin),
    verdict: words.verdictWord(backend.verdict),
    reason: backend.reason,
  };
}

const originJson = (origin: api.Origin | null): Json | null =>
  origin && { source: words.sourceWord(origin.source), revision: origin.revision, learnedAt: time(origin.learnedAt) };

/** One line of `watch -o json`; null for an event that this version does not know. */
export function watchJson(event: api.WatchServicesResponse): Json | null {
  const { revision } = event;
  switch (event.event) {
    case 'snapshotBegin':
      return { event: event.event, revision };
    case 'service':
      return { event: event.event, revision, service: serviceJson(event.service) };
    case 'removed':
      return { event: event.event, revision, namespace: event.removed.namespace, name: event.removed.name };
    case 'snapshotEnd':
      return { event: event.event, revision, resumeToken: event.snapshotEnd.resumeToken };
    case 'bookmark':
      return { event: event.event, revision, resumeToken: event.bookmark.resumeToken };
    default:
      return null;
  }
}
