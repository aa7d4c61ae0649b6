/** The forms in which a client may ask for objects (Accept): as they are, as a Table to print, or metadata only. */
import { ApiError } from '../api-error.ts';
import { encodeObject, type JsonObject, type KubeObject } from '../objects.ts';
import { apiVersionOf, type ResourceDefinition } from '../resource.ts';

export type Form =
  | { readonly kind: 'object' }
  | { readonly kind: 'metadata' }
  | { readonly kind: 'table'; readonly apiVersion: string; readonly include: string };

const META = 'meta.k8s.io';

/** The first form of the header that this server speaks. 406 when there is none, e.g. for protobuf only. */
export function negotiate(accept: string | undefined, query: URLSearchParams): Form {
  for (const option of (accept ?? '*/*').split(',')) {
    const [type, ...parameters] = option.split(';').map((part) => part.trim());
    if (!['application/json', 'application/*', '*/*', ''].includes(type ?? '')) continue;
    const given = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
    const as = given.get('as');
    if (as === undefined) return { kind: 'object' };
    if (given.get('g') !== META) continue;
    if (as === 'Table') {
      return {
        kind: 'table',
        apiVersion: `${META}/${given.get('v')}`,
        include: query.get('includeObject') ?? 'Metadata',
      };
    }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { kind: 'metadata' };
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
  readonly #form: Form;
  readonly #now: () => Date;
  #sentColumns = false;

  constructor(definition: ResourceDefinition, form: Form, now: () => Date) {
    this.#definition = definition;
    this.#form = form;
    this.#now = now;
  }

  /** Whether equal objects look the same for every client, so that their text can be shared. */
  get isPlain(): boolean {
    return this.#form.kind === 'object' && !this.#definition.present;
  }

  one(object: KubeObject): string {
    switch (this.#form.kind) {
      case 'object':
        return encodeObject(this.#inVersion(object));
      case 'metadata':
        return JSON.stringify(metadataOnly(object));
      case 'table':
        return JSON.stringify(this.#table([object], { resourceVersion: object.metadata.resourceVersion }));
    }
  }

  list(objects: readonly KubeObject[], { revision, continueToken, remaining }: ListFacts): string {
    const metadata = {
      resourceVersion: String(revision),
      ...(continueToken === undefined ? {} : { continue: continueToken }),
      ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
    };
    const { kind } = this.#definition;
    switch (this.#form.kind) {
      case 'object':
        return listText(
          { kind: `${kind}List`, apiVersion: apiVersionOf(this.#definition), metadata },
          objects.map((o) => encodeObject(this.#inVersion(o))),
        );
      case 'metadata':
        return listText(
          { kind: 'PartialObjectMetadataList', apiVersion: `${META}/v1`, metadata },
          objects.map((object) => JSON.stringify(metadataOnly(object))),
        );
      case 'table':
        return JSON.stringify(this.#table(objects, metadata));
    }
  }

  #inVersion(object: KubeObject): KubeObject {
    const apiVersion = apiVersionOf(this.#definition);
    const { present } = this.#definition;
    if (present) return { ...present(object), apiVersion };
    return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
  }

  #table(objects: readonly KubeObject[], metadata: JsonObject): JsonObject {
    const { columns } = this.#definition;
    const { apiVersion, include } = this.#form as Form & { kind: 'table' };
    const now = this.#now();
    // In a watch only the first table describes its columns.
    const columnDefinitions = this.#sentColumns ? [] : columns.map(({ cell: _, ...described }) => described);
    this.#sentColumns = true;
    return {
      kind: 'Table',
      apiVersion,
      metadata,
      columnDefinitions,
      rows: objects.map((object) => ({
        cells: columns.map((column) => column.cell(object, now)),
        ...rowObject(object, include),
      })),
    };
  }
}

function rowObject(object: KubeObject, include: string): JsonObject {
  switch (include) {
    case 'None':
      return {};
    case 'Object':
      return { object };
    default:
      return { object: metadataOnly(object) };
  }
}

const metadataOnly = ({ metadata }: KubeObject): JsonObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `${META}/v1`,
  metadata,
});

function listText(head: JsonObject, items: readonly string[]): string {
  return `${JSON.stringify(head).slice(0, -1)},"items":[${items.join(',')}]}`;
}
