/** containerd's configuration (version 3, containerd 2) of one node, with everything below the node's directory. */
export const SANDBOX_IMAGE = 'tombolo.test/pause:1';

export function containerdConfig(directory: string): string {
  return `version = 3
root = '${directory}/containerd'
state = '${directory}/containerd-state'

[grpc]
address = '${directory}/containerd.sock'

[plugins.'io.containerd.nri.v1.nri']
disable = true # Its socket has one place on the whole machine.

[plugins.'io.containerd.cri.v1.images']
snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '${SANDBOX_IMAGE}'

[plugins.'io.containerd.cri.v1.runtime']
disable_apparmor = true
restrict_oom_score_adj = true # Without CAP_SYS_RESOURCE nobody may lower it.
netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
base_runtime_spec = '${directory}/base-spec.json'
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['/usr/lib/cni']
conf_dir = '${directory}/cni'
`;
}
