/** Certificates, keys and kubeconfigs of one cluster, in its directory. All of them end with it. */
import { chmod, writeFile } from 'node:fs/promises';
import { command } from '@tombolo/machine/command.ts';
import type { TlsFiles } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import { type Certificate, Pki } from '@tombolo/machine/pki.ts';
import { type ControlPlanePlan, serverUrl } from './control-plane-plan.ts';

export interface Credentials {
  readonly pki: Pki;
  readonly server: Certificate;
  readonly kubeletClient: Certificate;
  readonly admin: TlsFiles;
  readonly serviceAccountKey: string;
  /** Files. */
  readonly kubeconfigs: {
    readonly admin: string;
    readonly controllerManager: string;
    readonly scheduler: string;
    readonly proxy: string;
  };
}

const MASTERS = 'system:masters';

export async function issueCredentials(plan: ControlPlanePlan): Promise<Credentials> {
  const { directory, cluster } = plan;
  const pki = await Pki.create(directory, 'ca');
  const [server, kubeletClient, admin, controllerManager, scheduler, proxy] = await Promise.all([
    pki.issue('kube-apiserver', serverNames(plan)),
    pki.issue('kube-apiserver-kubelet-client', undefined, MASTERS),
    pki.issue('admin', undefined, MASTERS),
    pki.issue('system:kube-controller-manager', undefined, MASTERS), // For all controllers, at once.

    pki.issue('system:kube-scheduler', undefined, MASTERS),
    pki.issue('system:kube-proxy'),
  ]);
  const serviceAccountKey = `${directory}/service-account.key`;
  await command(['openssl', 'genrsa', '-out', serviceAccountKey, '2048']);
  const write = async (name: string, certificate: Certificate): Promise<string> =>
    writeKubeconfig(`${directory}/${name}.kubeconfig`, cluster, serverUrl(plan), { ca: pki.ca, ...certificate });
  return {
    pki,
    server,
    kubeletClient,
    admin: { ca: pki.ca, ...admin },
    serviceAccountKey,
    kubeconfigs: {
      admin: await write('admin', admin),
      controllerManager: await write('controller-manager', controllerManager),
      scheduler: await write('scheduler', scheduler),
      proxy: await write('proxy', proxy),
    },
  };
}

export async function writeKubeconfig(file: string, cluster: string, server: string, tls: TlsFiles): Promise<string> {
  await writeFile(file, kubeconfig([{ cluster, server, tls }]), { mode: 0o600 });
  await chmod(file, 0o600);
  return file;
}

function serverNames({ cluster, address, alsoKnownAs = [], serviceCidrs }: ControlPlanePlan): string {
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `${cluster}`, 'localhost'];
  const addresses = new Set(['127.0.0.1', '::1', address, ...alsoKnownAs, ...serviceCidrs.map(firstAddress)]);
  return [...names.map((name) => `DNS:${name}`), ...[...addresses].map((each) => `IP:${each}`)].join(',');
}

/** The cluster address of the Service `kubernetes`: of 10.96.0.0/16, 10.96.0.1. */
function firstAddress(cidr: string): string {
  const [network = ''] = cidr.split('/');
  return network.includes(':') ? `${network}1` : network.replace(/\d+$/, '1');
}
