/** CoreDNS beside the control plane, behind a Service without a selector that pods find at the usual address. */
import { writeFile } from 'node:fs/promises';
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';
import type { StationPlan } from '@tombolo/machine/node-plan.ts';
import type { ProgramSpec } from '@tombolo/machine/program.ts';
import type { Binaries } from './binaries.ts';
import type { ControlPlane } from './control-plane.ts';

type Family = 'ipv4' | 'ipv6';

export const DNS_ADDRESS: Readonly<Record<Family, string>> = { ipv4: '10.96.0.10', ipv6: 'fd00:96::a' };

/** Also writes its Corefile. */
export async function corednsSpec(
  station: StationPlan,
  directory: string,
  { credentials }: ControlPlane,
  { coredns }: Binaries,
): Promise<ProgramSpec> {
  const { netns, cgroup, address, address6 } = station;
  await writeFile(
    `${directory}/Corefile`,
    `.:53 {
  bind ${address} ${address6}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${credentials.kubeconfigs.admin}
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
}
`,
  );
  const argv = [coredns, '-conf', `${directory}/Corefile`];
  return { name: 'coredns', argv, netns, cgroup: `${cgroup}/coredns`, logFile: `${directory}/coredns.log` };
}

export function dnsObjects({ address, address6 }: StationPlan, families: readonly Family[]): readonly Manifest[] {
  const metadata = { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
  const ports = ['UDP', 'TCP'].map((protocol) => ({
    name: protocol === 'UDP' ? 'dns' : 'dns-tcp',
    port: 53,
    protocol,
  }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      clusterIPs: families.map((family) => DNS_ADDRESS[family]),
      clusterIP: families[0] && DNS_ADDRESS[families[0]],
      ipFamilies: families.map(familyName),
      ipFamilyPolicy: families.length > 1 ? 'RequireDualStack' : 'SingleStack',
      ports,
    },
  };
  const slices = families.map(
    (family): Manifest => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `kube-dns-${family}`,
        namespace: 'kube-system',
        labels: { 'kubernetes.io/service-name': 'kube-dns', 'endpointslice.kubernetes.io/managed-by': 'lab' },
      },
      addressType: familyName(family),
      ports,
      endpoints: [{ addresses: [family === 'ipv4' ? address : address6], conditions: { ready: true } }],
    }),
  );
  return [service, ...slices];
}

const familyName = (family: Family): 'IPv4' | 'IPv6' => (family === 'ipv4' ? 'IPv4' : 'IPv6');
