/** The entries of the map of services, by name. */
import { type Frontend, frontendId } from '@tombolo/shared/model/service-table.ts';

/** What has an entry of its own: a frontend, and apart from it what clients outside the cluster get, where that is another. */
export interface MapFrontend extends Frontend {
  readonly clients?: 'outside' | undefined;
}

const OUTSIDE_SUFFIX = ' outside';
export const outsideEntry = (id: string): string => `${id}${OUTSIDE_SUFFIX}`;
/** What tells entries apart: `frontendId`, and for whom. */
export const entryId = (frontend: MapFrontend): string =>
  frontend.clients === undefined ? frontendId(frontend) : outsideEntry(frontendId(frontend));
/** The `frontendId` of an entry. */
export const frontendOfEntry = (entry: string): string =>
  entry.endsWith(OUTSIDE_SUFFIX) ? entry.slice(0, -OUTSIDE_SUFFIX.length) : entry;
