/**
 * The shapes of `-o json`: the API's messages, with words for its enums and text for its times. They are documented in
 * docs/api.md and only ever grow. Pure.
 */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { msFromTimestamp } from '@tombolo/proto/timestamp.ts';
import * as words from './words.ts';

/** What `JSON.stringify` takes. */
export type Json = object;

/** RFC 3339; null when never or unknown. */
const time = (timestamp: api.Timestamp | null): string | null =>
  timestamp && new Date(msFromTimestamp(timestamp)).toISOString();

export const statusJson = (status: api.GetStatusResponse): Json => ({
  ...status,
  startedAt: time(status.startedAt),
  parts: status.parts.map((part) => ({ ...part, state: words.healthWord(part.state) })),
});

export const clusterJson = (cluster: api.Cluster): Json => ({
  ...cluster,
  id: cluster.id === 0 ? null : cluster.id,
  control: words.controlWord(cluster.control),
  since: time(cluster.since),
  heardAt: time(cluster.heardAt),
  quarantined: cluster.quarantined.map((entry) => ({ ...entry, at: time(entry.at) })),
});

/** Of a whole Service: that it came in several messages is not told. */
export const serviceJson = ({ moreBackends: _, ...service }: api.Service): Json => ({
  ...service,
  affinity: words.affinityWord(service.affinity),
  origin: originJson(service.origin),
  groups: service.groups.map(groupJson),
  unmatchedBackends: service.unmatchedBackends.map(backendJson),
});

const groupJson = (group: api.FrontendGroup): Json => ({
  ...group,
  port: group.port && { ...group.port, protocol: words.protocolWord(group.port.protocol) },
  family: words.familyWord(group.family),
  clients: words.clientsWord(group.clients),
  frontends: group.frontends.map(frontendJson),
  refused: group.refused.map(({ frontend, reason }) => ({ frontend: frontend && frontendJson(frontend), reason })),
  backends: group.backends.map(backendJson),
});

const frontendJson = (frontend: api.Frontend): Json => ({
  ...frontend,
  kind: words.frontendKindWord(frontend.kind),
  protocol: words.protocolWord(frontend.protocol),
});

const backendJson = (backend: api.Backend): Json => ({
  ...backend,
  protocol: words.protocolWord(backend.protocol),
  state: words.backendStateWord(backend.state),
  origin: originJson(backend.origin),
  verdict: words.verdictWord(backend.verdict),
});

const originJson = (origin: api.Origin | null): Json | null =>
  origin && { ...origin, source: words.sourceWord(origin.source), learnedAt: time(origin.learnedAt) };

/** One line of `watch -o json`; null for an event that this version does not know. */
export function watchJson(event: api.WatchServicesResponse): Json | null {
  const head = { event: event.event, revision: event.revision };
  switch (event.event) {
    case 'snapshotBegin':
      return head;
    case 'service':
      return { ...head, service: serviceJson(event.service) };
    case 'removed':
      return { ...head, ...event.removed };
    case 'snapshotEnd':
      return { ...head, ...event.snapshotEnd };
    case 'bookmark':
      return { ...head, ...event.bookmark };
    default:
      return null;
  }
}
