/**
 * How the fields of the built-in kinds merge: which lists merge, and by which key, and which maps are one value. The
 * facts behind strategic merge patches and server-side apply.
 */
export interface MergeNode {
  /** A list of objects that merges by this field of its items. */
  readonly key?: string;
  /** Tells items with equal keys apart when both sides name it (ports of one number and two protocols). */
  readonly tieBreaker?: string;
  /** A list of plain values that merges as a set. */
  readonly set?: true;
  /** A map that has one owner in server-side apply; strategic merge patches still merge it. */
  readonly atomic?: true;
  readonly fields?: { readonly [field: string]: MergeNode };
}

const by = (key: string, fields: MergeNode['fields'] = {}): MergeNode => ({ key, fields });
const map = (fields: NonNullable<MergeNode['fields']>): MergeNode => ({ fields });
const set: MergeNode = { set: true };
const atomic: MergeNode = { atomic: true };

const metadata = map({ finalizers: set, ownerReferences: by('uid') });
const conditions = by('type');

const container = by('name', {
  env: by('name'),
  ports: { key: 'containerPort', tieBreaker: 'protocol' },
  volumeMounts: by('mountPath'),
});

const podSpec = map({
  containers: container,
  initContainers: container,
  volumes: by('name'),
  imagePullSecrets: by('name'),
  nodeSelector: atomic,
});

export const plainMerge: MergeNode = map({ metadata });

export const podMerge: MergeNode = map({
  metadata,
  spec: podSpec,
  status: map({ conditions, podIPs: by('ip'), hostIPs: by('ip') }),
});

export const serviceMerge: MergeNode = map({
  metadata,
  spec: map({ ports: { key: 'port', tieBreaker: 'protocol' }, selector: atomic }),
  status: map({ conditions }),
});

export const nodeMerge: MergeNode = map({
  metadata,
  spec: map({ podCIDRs: set }),
  status: map({ conditions, addresses: by('type') }),
});

export const workloadMerge: MergeNode = map({
  metadata,
  spec: map({ template: map({ metadata, spec: podSpec }), selector: atomic }),
  status: map({ conditions }),
});

export const namespaceMerge: MergeNode = map({ metadata, spec: map({ finalizers: set }), status: map({ conditions }) });
