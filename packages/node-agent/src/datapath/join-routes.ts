/** Routes that were found in several places of the kernel. */
import type { FrontendRoute } from '@tombolo/shared/model/routes.ts';
import { frontendId } from '@tombolo/shared/model/service-table.ts';

/** What the first serves, and what only the others do. */
export function joinRoutes(
  first: readonly FrontendRoute[],
  others: readonly FrontendRoute[],
): readonly FrontendRoute[] {
  const served = new Set(first.map(({ frontend }) => frontendId(frontend)));
  return [...first, ...others.filter(({ frontend }) => !served.has(frontendId(frontend)))];
}
