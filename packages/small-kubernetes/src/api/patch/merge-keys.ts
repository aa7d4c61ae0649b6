/** Which lists of the built-in kinds merge, and by which key: the facts behind strategic merge patches. */
import type { MergeNode } from './strategic-merge.ts';

const by = (key: string, fields?: MergeNode['fields']): MergeNode => (fields ? { key, fields } : { key });
const map = (fields: NonNullable<MergeNode['fields']>): MergeNode => ({ fields });
const set: MergeNode = { set: true };

const metadata = map({ finalizers: set, ownerReferences: by('uid') });
const conditions = by('type');

const container = by('name', {
  env: by('name'),
  ports: by('containerPort'),
  volumeMounts: by('mountPath'),
  volumeDevices: by('devicePath'),
});

const podSpec = map({
  containers: container,
  initContainers: container,
  ephemeralContainers: container,
  volumes: by('name'),
  imagePullSecrets: by('name'),
  hostAliases: by('ip'),
  topologySpreadConstraints: by('topologyKey'),
});

const template = map({ metadata, spec: podSpec });

export const plainMerge: MergeNode = map({ metadata });

export const podMerge: MergeNode = map({
  metadata,
  spec: podSpec,
  status: map({ conditions, podIPs: by('ip'), hostIPs: by('ip') }),
});

export const serviceMerge: MergeNode = map({
  metadata,
  spec: map({ ports: { key: 'port', tieBreaker: 'protocol' } }),
  status: map({ conditions }),
});

export const nodeMerge: MergeNode = map({
  metadata,
  spec: map({ podCIDRs: set }),
  status: map({ conditions, addresses: by('type') }),
});

export const workloadMerge: MergeNode = map({
  metadata,
  spec: map({ template }),
  status: map({ conditions }),
});

export const serviceAccountMerge: MergeNode = map({ metadata, secrets: by('name') });

export const namespaceMerge: MergeNode = map({ metadata, spec: map({ finalizers: set }), status: map({ conditions }) });
