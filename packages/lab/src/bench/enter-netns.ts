/** Does something synchronous inside a network namespace, by its name: sockets that it opens belong there for good. */
import { inNamespace } from '@tombolo/node-agent/datapath/sockets/namespaces.ts';

export const enterNetns = <T>(name: string, body: () => T): T => inNamespace(`/run/netns/${name}`, body);
