/** The entries of the map of services, by name. */
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';

/**
 * Whom an entry beside a frontend's own is for. Clients outside the cluster, where they get something else; with source
 * ranges that is nothing, and whoever comes from one of them is `admitted`: to what everybody gets, or to what is `outside`.
 */
export const MAP_CLIENTS = ['outside', 'admitted', 'admitted outside'] as const;
export type MapClients = (typeof MAP_CLIENTS)[number];

/** What has an entry of its own. */
export interface MapFrontend extends Frontend {
  readonly clients?: MapClients | undefined;
}

/** What tells entries apart: `frontendId`, and for whom. */
export const entryId = (frontend: MapFrontend): string => entryOf(frontendId(frontend), frontend.clients);

const entryOf = (id: string, clients: MapClients | undefined): string =>
  clients === undefined ? id : `${id} for ${clients}`;

/** All that a frontend may have, by its `frontendId`. */
export const entriesOf = (id: string): readonly string[] => [id, ...MAP_CLIENTS.map((clients) => entryOf(id, clients))];

/** The `frontendId` of an entry. */
export const frontendOfEntry = (entry: string): string => entry.replace(/ for .*/, '');
