/** Meshes as the tests start them: on the real Kubernetes, both families. */
import { type Mesh, type MeshOptions, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import type { KubernetesKind } from '@tombolo/lab/mesh/plan.ts';

export type RealMeshOptions = Omit<MeshOptions, 'kubernetes'>;

/** With kube-proxy where the agents leave to it what is not global. */
export function startRealMesh(options: RealMeshOptions): Promise<Mesh> {
  const proxy = options.agent?.services === 'global' ? 'nftables' : undefined;
  return startMesh({ ...options, kubernetes: realKubernetes(proxy) });
}

export function realKubernetes(proxy: 'nftables' | 'iptables' | undefined): KubernetesKind {
  return { kind: 'real', version: '1.37', families: ['ipv4', 'ipv6'], proxy };
}
