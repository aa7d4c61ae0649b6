/** The API's methods: each reads its request, asks the source, and answers. Nothing here outlives its call. */
import { type handleServerStreamingCall, type handleUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type { AgentMethods } from '@tombolo/proto/generated/tombolo-v1.ts';
import { serviceKey } from '@tombolo/shared/model/service.ts';
import { announcedAddressMessage, announcersMessage, isAskedFor } from './announcement-message.ts';
import { clusterMessage, sortClusters, statusMessage } from './cluster-message.ts';
import { listServices } from './list-services.ts';
import type { OpenStreams } from './open-streams.ts';
import { type Refusal, resolveBackend } from './resolve.ts';
import { EVERYTHING } from './service-filter.ts';
import { backendMessage, serviceParts, servicePortMessage } from './service-message.ts';
import type { ApiSource } from './source.ts';
import { watchClusters } from './watch-clusters.ts';
import { watchServices } from './watch-services.ts';

type Handler<Method extends AgentMethods[keyof AgentMethods]> = Method['stream'] extends true
  ? handleServerStreamingCall<Method['request'], Method['response']>
  : handleUnaryCall<Method['request'], Method['response']>;

export type AgentHandlers = { readonly [Name in keyof AgentMethods]: Handler<AgentMethods[Name]> };

export function agentHandlers(source: ApiSource, streams: OpenStreams, random: () => number): AgentHandlers {
  const { table } = source;
  return {
    getStatus: (_call, callback) =>
      callback(null, statusMessage(source.status(), table, [...source.clusters().values()])),

    listServices: (call) => void streams.run(call, () => listServices(table, call.request.filter ?? EVERYTHING)),

    getService: ({ request: { namespace, name } }, callback) => {
      if (namespace === '' || name === '') return refuseUnnamed(callback);
      const facts = table.get(serviceKey(namespace, name));
      if (!facts) return refuse(callback, status.NOT_FOUND, `Service ${namespace}/${name} is not known to any cluster`);
      const [part] = serviceParts(table.explain(facts));
      callback(null, { revision: table.revision, service: part?.service ?? null });
    },

    watchServices: (call) => {
      const { filter, resumeToken } = call.request;
      void streams.run(call, (over) => watchServices(source, filter ?? EVERYTHING, resumeToken, over));
    },

    listClusters: (call) =>
      void streams.run(call, () =>
        sortClusters(source.clusters().values()).map((cluster) => ({ cluster: clusterMessage(cluster) })),
      ),

    watchClusters: (call) => void streams.run(call, (over) => watchClusters(source, over)),

    listAnnouncedAddresses: (call) =>
      void streams.run(call, () =>
        source.announcing.addresses
          .filter((address) => isAskedFor(address, call.request))
          .map((address) => ({ address: announcedAddressMessage(address) })),
      ),

    listAnnouncers: (_call, callback) => callback(null, announcersMessage(source.announcing.announcers)),

    resolveBackend: ({ request }, callback) => {
      if (request.namespace === '' || request.name === '') return refuseUnnamed(callback);
      const facts = table.get(serviceKey(request.namespace, request.name));
      const found = resolveBackend(facts && table.explain(facts), request, {
        cluster: source.status().cluster.name,
        random,
      });
      if (found.kind !== 'found') return refuse(callback, REFUSALS[found.kind], found.message);
      const { decision, port, reason, alternatives } = found;
      callback(null, {
        revision: table.revision,
        backend: backendMessage(decision),
        port: servicePortMessage(port),
        reason,
        alternatives,
      });
    },
  };
}

const REFUSALS: Readonly<Record<Refusal['kind'], status>> = {
  'not-found': status.NOT_FOUND,
  'failed-precondition': status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
};

const refuseUnnamed = (callback: sendUnaryData<never>): void =>
  refuse(callback, status.INVALID_ARGUMENT, 'A Service is named by namespace and name: expected both');

const refuse = (callback: sendUnaryData<never>, code: status, details: string): void => callback({ code, details });
