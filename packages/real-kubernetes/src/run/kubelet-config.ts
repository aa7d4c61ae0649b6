/** Kubelet's configuration of one node. Pure. */
import type { NodePlan } from '@tombolo/machine/node-plan.ts';
import type { Certificate } from '@tombolo/machine/pki.ts';
import { stringify } from 'yaml';

export interface KubeletFacts {
  readonly plan: NodePlan;
  /** Where it listens. */
  readonly address: string;
  readonly clusterDns: readonly string[];
  /** Path of the certificate of those who may sign clients. */
  readonly ca: string;
  readonly serving: Certificate;
  /** From the root of each hierarchy. */
  readonly cgroup: string;
}

export function kubeletConfig({ plan, address, clusterDns, ca, serving, cgroup }: KubeletFacts): string {
  const { directory } = plan;
  return stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: ca } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: serving.cert,
    tlsPrivateKeyFile: serving.key,
    containerRuntimeEndpoint: `unix://${directory}/containerd.sock`,
    clusterDomain: 'cluster.local',
    clusterDNS: clusterDns,
    resolvConf: '',
    podLogsDir: `${directory}/pod-logs`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroup,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: ['pods'],
    failCgroupV1: false,
    failSwapOn: false,
    // The machine is shared with others: its disk and memory are not ours to judge.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
    },
    imageGCHighThresholdPercent: 100,
    healthzPort: 10248,
    registerNode: true,
    serializeImagePulls: false,
    syncFrequency: '10s',
    nodeStatusUpdateFrequency: '5s',
    volumePluginDir: `${directory}/volume-plugins`,
    shutdownGracePeriod: '0s',
    maxPods: 200,
  });
}
