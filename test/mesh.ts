/** Meshes as the tests start them: on the real Kubernetes, both families. */
import { type Mesh, type MeshOptions, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import { realKubernetes } from '@tombolo/lab/mesh/real-kubernetes.ts';

export interface RealMeshOptions extends Omit<MeshOptions, 'kubernetes'> {
  /** Of kube-proxy, which runs where the agents leave to it what is not global. */
  readonly proxyMode?: 'nftables' | 'iptables' | undefined;
}

export function startRealMesh({ proxyMode = 'nftables', ...options }: RealMeshOptions): Promise<Mesh> {
  const proxy = options.agent?.services === 'global' ? proxyMode : undefined;
  return startMesh({ ...options, kubernetes: realKubernetes(proxy) });
}
