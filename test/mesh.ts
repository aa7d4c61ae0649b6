/** Meshes as the tests start them: on the real Kubernetes, both families. */
import { type Mesh, type MeshOptions, startMesh } from '@tombolo/lab/mesh/mesh.ts';
import { realKubernetes } from '@tombolo/lab/mesh/real-kubernetes.ts';

/** With kube-proxy where the agents leave to it what is not global. */
export function startRealMesh(options: Omit<MeshOptions, 'kubernetes'>): Promise<Mesh> {
  const proxy = options.agent?.services === 'global' ? 'nftables' : undefined;
  return startMesh({ ...options, kubernetes: realKubernetes(proxy) });
}
