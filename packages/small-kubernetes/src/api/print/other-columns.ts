/** Printer columns of the built-in kinds outside the core group, and those that a CustomResourceDefinition declares. */
import type { Workload } from '../kinds/typed.ts';
import { formatLabelSelector } from '../label-selector.ts';
import { fieldAt, isJsonObject, type KubeObject } from '../objects.ts';
import type { Column } from '../resource.ts';
import { age, ageColumn, column, formatList, nameColumn, wide } from './columns.ts';

const statusNumber = (field: keyof Workload['status']) => (object: KubeObject) =>
  Number((object as Workload).status[field] ?? 0);

const containerNames = wide('Containers', (object) =>
  ((object as Workload).spec.template?.spec?.containers ?? []).map(({ name }) => name).join(','),
);
const containerImages = wide('Images', (object) =>
  ((object as Workload).spec.template?.spec?.containers ?? []).map(({ image }) => image ?? '').join(','),
);
const selectorColumn = wide(
  'Selector',
  (object) => formatLabelSelector((object as Workload).spec.selector) || '<none>',
);

const readyOfDesired = (object: KubeObject): string => {
  const { spec, status } = object as Workload;
  return `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`;
};

export const deploymentColumns: readonly Column[] = [
  nameColumn,
  column('Ready', readyOfDesired),
  column('Up-to-date', statusNumber('updatedReplicas'), { type: 'integer' }),
  column('Available', statusNumber('availableReplicas'), { type: 'integer' }),
  ageColumn,
  containerNames,
  containerImages,
  selectorColumn,
];

export const replicaSetColumns: readonly Column[] = [
  nameColumn,
  column('Desired', (object) => (object as Workload).spec.replicas ?? 0, { type: 'integer' }),
  column('Current', statusNumber('replicas'), { type: 'integer' }),
  column('Ready', statusNumber('readyReplicas'), { type: 'integer' }),
  ageColumn,
  containerNames,
  containerImages,
  selectorColumn,
];

export const statefulSetColumns: readonly Column[] = [
  nameColumn,
  column('Ready', readyOfDesired),
  ageColumn,
  containerNames,
  containerImages,
];

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

export const endpointSliceColumns: readonly Column[] = [
  nameColumn,
  column('AddressType', (object) => String(object['addressType'] ?? '')),
  column('Ports', (object) => {
    const ports = listOf(object['ports']);
    return ports.length === 0 ? '<unset>' : formatList(ports.map((port) => String(fieldAt(port, ['port']) ?? '*')));
  }),
  column('Endpoints', (object) => {
    const addresses = listOf(object['endpoints']).flatMap((endpoint) => listOf(fieldAt(endpoint, ['addresses'])));
    return addresses.length === 0 ? '<unset>' : formatList(addresses.map(String));
  }),
  ageColumn,
];

export const leaseColumns: readonly Column[] = [
  nameColumn,
  column('Holder', (object) => String(fieldAt(object, ['spec', 'holderIdentity']) ?? '')),
  ageColumn,
];

export const crdColumns: readonly Column[] = [
  nameColumn,
  column('Created At', ({ metadata }) => metadata.creationTimestamp, { type: 'date' }),
];

/** `additionalPrinterColumns` of one version. Without any: name and age. */
export function declaredColumns(declared: unknown): readonly Column[] {
  if (!Array.isArray(declared) || declared.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...declared.filter(isJsonObject).map(declaredColumn)];
}

function declaredColumn(declared: { [field: string]: unknown }): Column {
  const type = String(declared['type'] ?? 'string');
  const path = parsePath(String(declared['jsonPath'] ?? ''));
  return column(
    String(declared['name'] ?? ''),
    (object, now) => {
      const value = valueAt(object, path);
      if (value === undefined || value === null) return type === 'date' ? '<unknown>' : '';
      if (type === 'date') return age(String(value), now);
      if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value;
      return JSON.stringify(value);
    },
    {
      type: type === 'date' ? 'string' : type,
      format: String(declared['format'] ?? ''),
      description: String(declared['description'] ?? ''),
      priority: Number(declared['priority'] ?? 0),
    },
  );
}

interface Step {
  readonly field: string;
  /** `[?(@.type=="Ready")]` after the field. */
  readonly where?: readonly [field: string, value: string];
  readonly index?: number;
}

/** The part of JSONPath that printer columns use: fields, indexes and one equality filter per list. */
function parsePath(path: string): readonly Step[] {
  const steps = path.matchAll(
    /\.((?:[^.[\\]|\\.)+)|\[\?\(@\.([^=]+?)\s*==\s*["']([^"']*)["']\)\]|\[(\d+)\]|\['([^']+)'\]/g,
  );
  return [...steps].map(([, field = '', whereField, whereValue = '', index, quoted]) => {
    if (whereField !== undefined) return { field: '', where: [whereField, whereValue] };
    if (index !== undefined) return { field: '', index: Number(index) };
    return { field: quoted ?? field.replaceAll('\\.', '.') };
  });
}

function valueAt(object: unknown, path: readonly Step[]): unknown {
  return path.reduce<unknown>((value, { field, where, index }) => {
    if (where) return listOf(value).find((item) => String(fieldAt(item, where[0].split('.'))) === where[1]);
    if (index !== undefined) return listOf(value)[index];
    return fieldAt(value, [field]);
  }, object);
}
