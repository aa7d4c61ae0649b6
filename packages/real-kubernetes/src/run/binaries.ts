/** Where the programs of Kubernetes are on this machine: what `scripts/kubernetes build` made, or what the user named. */
export interface Binaries {
  /** `kube-apiserver`, `kubectl` … are links to one binary. */
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubeScheduler: string;
  readonly kubelet: string;
  readonly kubeProxy: string;
  readonly kubectl: string;
  readonly etcd: string;
  readonly containerd: string;
  readonly containerdShim: string;
  readonly ctr: string;
  readonly coredns: string;
}
