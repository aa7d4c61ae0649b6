/** CustomResourceDefinitions: defaults and checks, and the resource definitions that each served version becomes. */
import { type Cause, invalidValue, required } from '../api-error.ts';
import { fieldAt, isJsonObject, type JsonObject, type KubeObject } from '../objects.ts';
import { declaredColumns } from '../print/other-columns.ts';
import type { ResourceDefinition, ScalePaths } from '../resource.ts';
import { validateBySchema } from './structural-schema.ts';

interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema?: { openAPIV3Schema?: JsonObject };
  subresources?: { status?: JsonObject; scale?: JsonObject };
  additionalPrinterColumns?: unknown;
  selectableFields?: { jsonPath: string }[];
}

interface CrdNames {
  plural: string;
  singular?: string;
  kind: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

interface Crd extends KubeObject {
  spec: { group: string; scope: string; names: CrdNames; versions: CrdVersion[]; conversion?: unknown };
}

export function defaultCustomResource(draft: KubeObject): void {
  const { spec } = draft as Crd;
  if (!isJsonObject(spec?.names)) return;
  spec.names.singular ??= String(spec.names.kind ?? '').toLowerCase();
  spec.names.listKind ??= `${spec.names.kind}List`;
  spec.conversion ??= { strategy: 'None' };
}

export function validateCustomResource(object: KubeObject): Cause[] {
  const { spec, metadata } = object as Crd;
  const causes: Cause[] = [];
  for (const field of ['group', 'scope', 'names', 'versions'] as const) {
    if (!spec?.[field]) causes.push(required(`spec.${field}`));
  }
  if (causes.length > 0) return causes;
  for (const field of ['plural', 'kind'] as const) {
    if (!spec.names[field]) causes.push(required(`spec.names.${field}`));
  }
  if (metadata.name !== `${spec.names.plural}.${spec.group}`) {
    causes.push(invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (spec.versions.filter(({ storage }) => storage).length !== 1) {
    causes.push(
      invalidValue(
        'spec.versions',
        spec.versions.map(({ name }) => name),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  return causes;
}

export const isEstablished = (crd: KubeObject): boolean => {
  const conditions = fieldAt(crd, ['status', 'conditions']);
  return Array.isArray(conditions) && conditions.some((c: unknown) => fieldAt(c, ['type']) === 'Established');
};

export const storageVersion = (crd: KubeObject): string =>
  (crd as Crd).spec.versions.find(({ storage }) => storage)?.name ?? '';

export function customDefinitions(crd: KubeObject): ResourceDefinition[] {
  const { group, scope, names, versions } = (crd as Crd).spec;
  return versions
    .filter(({ served }) => served)
    .map((version) => {
      const schema = version.schema?.openAPIV3Schema;
      const scale = scaleOf(version.subresources?.scale);
      return {
        group,
        version: version.name,
        resource: names.plural,
        singular: names.singular ?? names.kind.toLowerCase(),
        kind: names.kind,
        namespaced: scope === 'Namespaced',
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        hasStatus: version.subresources?.status !== undefined,
        ...(scale ? { scale } : {}),
        countsGenerations: true,
        selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath.replace(/^\./, '')),
        columns: declaredColumns(version.additionalPrinterColumns),
        ...(schema ? { validate: (object: KubeObject) => validateBySchema(object, schema) } : {}),
      };
    });
}

function scaleOf(declared: JsonObject | undefined): ScalePaths | undefined {
  if (!declared) return undefined;
  const path = (field: string) => String(declared[field] ?? '').replace(/^\./, '');
  return {
    replicas: path('specReplicasPath'),
    statusReplicas: path('statusReplicasPath'),
    selector: path('labelSelectorPath'),
  };
}
