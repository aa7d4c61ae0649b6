/** The forms in which a client may ask for objects (Accept): as they are, or as a Table to print. */
import { ApiError } from '../api-error.ts';
import type { JsonObject, KubeObject } from '../objects.ts';
import { apiVersionOf, type ResourceDefinition } from '../resource.ts';

/**
 * The first form of the header that this server speaks: `undefined` for objects as they are, or the version of the table.
 * 406 when there is none, e.g. for protobuf only.
 */
export function negotiate(accept = '*/*'): string | undefined {
  for (const option of accept.split(',')) {
    const [type = '', ...parameters] = option.split(';').map((part) => part.trim());
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue;
    const given = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
    if (given.get('as') === undefined) return undefined;
    if (given.get('as') === 'Table') return `meta.k8s.io/${given.get('v')}`;
  }
  throw new ApiError(406, 'NotAcceptable', 'only the following media types are accepted: application/json');
}

export interface ListFacts {
  readonly revision: number;
  readonly continueToken?: string;
  readonly remaining?: number;
}

export class Representation {
  readonly #definition: ResourceDefinition;
  readonly #table: string | undefined;
  #sentColumns = false;

  constructor(definition: ResourceDefinition, table: string | undefined) {
    this.#definition = definition;
    this.#table = table;
  }

  one(object: KubeObject): JsonObject {
    const { resourceVersion } = object.metadata;
    return this.#table === undefined ? object : this.#tableOf([object], { resourceVersion });
  }

  list(objects: readonly KubeObject[], { revision, continueToken, remaining }: ListFacts): JsonObject {
    const metadata = {
      resourceVersion: String(revision),
      ...(continueToken === undefined ? {} : { continue: continueToken }),
      ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
    };
    if (this.#table !== undefined) return this.#tableOf(objects, metadata);
    const { kind } = this.#definition;
    return { kind: `${kind}List`, apiVersion: apiVersionOf(this.#definition), metadata, items: objects };
  }

  #tableOf(objects: readonly KubeObject[], metadata: JsonObject): JsonObject {
    const { table } = this.#definition;
    const now = new Date();
    // In a watch only the first table describes its columns.
    const columnDefinitions = this.#sentColumns ? [] : table.columns;
    this.#sentColumns = true;
    const rows = objects.map((object) => ({ cells: table.row(object, now), object }));
    return { kind: 'Table', apiVersion: this.#table, metadata, columnDefinitions, rows };
  }
}
