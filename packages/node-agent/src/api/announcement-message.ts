/** Announced addresses, and who announces them, as the API's messages. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import type { AnnouncedAddress, Announcers } from '../announce/announcements.ts';
import { cut } from './service-message.ts';

export function announcedAddressMessage(announced: AnnouncedAddress): api.AnnouncedAddress {
  const { address, services, kind, obstacle, anycast, remoteOnly, layer2, bgp } = announced;
  return {
    ...{ address, services, kind, obstacle, anycast, remoteOnly },
    layer2: layer2
      ? {
          owner: layer2.election.owner ?? '',
          obstacle: layer2.election.obstacle ?? '',
          next: layer2.election.second ?? '',
          answeredHere: layer2.isAnswered,
          problem: cut(layer2.problem ?? ''),
        }
      : null,
    bgp: bgp.map(({ localPreference, ...route }) => ({
      ...route,
      localPreference: localPreference === undefined ? '' : `${localPreference}`,
    })),
  };
}

export const announcersMessage = ({ speakers, peers, problems }: Announcers): api.ListAnnouncersResponse => ({
  speakers: speakers.map(({ node, isReady, isHeard, links = [] }) => ({
    ...{ node, ready: isReady, heard: isHeard },
    interfaces: links.map(({ name }) => name),
  })),
  bgpPeers: peers,
  problems: problems.map(cut),
});

/** Whether an address is of a Service that is asked for; empty: of any. */
export const isAskedFor = (
  { services }: AnnouncedAddress,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): boolean =>
  services.some((service) => {
    const [ofNamespace, ofName] = service.split('/');
    return (namespace === '' || namespace === ofNamespace) && (name === '' || name === ofName);
  });
