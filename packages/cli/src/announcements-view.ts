/** `tombolo lb …` for people: what is announced, and by whom. Pure. */
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { formatAge } from './age.ts';
import { type Cell, formatTable, type Paint, printable } from './table.ts';

const SERVICES = ['ADDRESS', 'SERVICES', 'KIND', 'ANSWERED BY', 'NEXT', 'BGP PEERS', 'REMARK'];

export function formatAnnounced(addresses: readonly api.AnnouncedAddress[], _now: number, paint: Paint): string {
  if (addresses.length === 0) return 'No addresses; they are shown while something announces them\n';
  return formatTable(SERVICES, addresses.map(announcedRow), paint);
}

function announcedRow(announced: api.AnnouncedAddress): readonly Cell[] {
  const { address, services, kind, anycast, obstacle, layer2, bgp } = announced;
  const here = layer2?.answeredHere ? ' (here)' : '';
  const notAnswered = layer2?.owner ? '' : layer2?.obstacle;
  const remark = layer2?.problem || obstacle || notAnswered || remoteOnlyWords(announced);
  return [
    address,
    services.join(','),
    anycast ? `${kind}, anycast` : kind,
    layer2?.owner ? `${layer2.owner}${here}` : '',
    layer2?.next ?? '',
    bgp.map(({ peer }) => peer).join(','),
    { text: remark, style: layer2?.problem ? 'red' : 'yellow' },
  ];
}

function remoteOnlyWords({ remoteOnly }: api.AnnouncedAddress): string {
  if (remoteOnly === '') return '';
  return `backends in other clusters only${remoteOnly === 'lower-preference' ? ': less preferred' : ''}`;
}

export function formatAnnouncers(
  { speakers, bgpPeers, problems }: api.ListAnnouncersResponse,
  _now: number,
  paint: Paint,
): string {
  const agents = speakers.map(({ node, ready, heard, interfaces }): readonly Cell[] => [
    node,
    ready ? { text: 'yes', style: 'green' } : { text: 'no', style: 'yellow' },
    heard ? 'directly' : 'by others',
    interfaces.join(','),
  ]);
  const routers = bgpPeers.map(({ address, asn, state, upMs, prefixes, source, trouble }): readonly Cell[] => [
    address,
    asn,
    { text: state, style: state === 'Established' ? 'green' : 'yellow' },
    state === 'Established' ? formatAge(1, 1 + upMs) : '',
    `${prefixes}`,
    source,
    { text: trouble, style: 'yellow' },
  ]);
  const parts = [
    agents.length > 0
      ? `Agents that answer ARP and NDP\n${formatTable(['NODE', 'READY', 'HEARD', 'INTERFACES'], agents, paint, '  ')}`
      : 'No other agent answers ARP and NDP\n',
    routers.length > 0
      ? `Routers by BGP\n${formatTable(['PEER', 'AS', 'STATE', 'UP', 'PREFIXES', 'ASKED FOR BY', 'REMARK'], routers, paint, '  ')}`
      : 'No routers by BGP\n',
    ...problems.map((problem) => `${paint('yellow', printable(problem))}\n`),
  ];
  return parts.join('\n');
}

const ROUTES = ['PREFIX', 'PEER', 'COMMUNITIES', 'PREFERENCE', 'SERVICES'];

export function formatRoutes(addresses: readonly api.AnnouncedAddress[], _now: number, paint: Paint): string {
  const rows = addresses.flatMap(({ services, bgp }) =>
    bgp.map(({ prefix, peer, communities, localPreference, prepends }) => [
      prefix,
      peer,
      communities.join(' '),
      localPreference || (prepends > 0 ? `path +${prepends}` : ''),
      services.join(','),
    ]),
  );
  return rows.length === 0 ? 'No routes\n' : formatTable(ROUTES, rows, paint);
}
