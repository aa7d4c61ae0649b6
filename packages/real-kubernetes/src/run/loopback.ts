/**
 * A real control plane on 127.0.0.1, without nodes: for those who need the API, its controllers and its rules, and write
 * Pods' and Nodes' status themselves. Ready some four seconds after its start; whoever starts it closes it.
 */
import { cgroup2Mount } from '@tombolo/machine/cgroup.ts';
import { claimPlaces, mountPlaces } from '@tombolo/machine/claim.ts';
import { freePorts } from '@tombolo/machine/free-port.ts';
import { onInterrupt } from '@tombolo/machine/interrupt.ts';
import { meshName, meshPlaces } from '@tombolo/machine/names.ts';
import { removeMesh } from '@tombolo/machine/sweep.ts';
import { kubernetesBinaries } from '../building/built.ts';
import { ControlPlane } from './control-plane.ts';

export interface LoopbackOptions {
  /** 1-16 lower-case letters and digits; one of a name at a time. */
  readonly name: string;
  readonly version?: string;
  /** One for each family, the first is the primary one. */
  readonly serviceCidrs?: readonly string[];
  readonly apiserverFlags?: readonly string[];
  readonly controllerFlags?: readonly string[];
}

export interface LoopbackControlPlane {
  readonly controlPlane: ControlPlane;
  /** Of an administrator; a file. */
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly directory: string;
  close(): Promise<void>;
}

/** Else it would take Pods from Nodes that nobody reports for. */
const NO_NODES = '--controllers=*,-node-lifecycle-controller,-taint-eviction-controller';

export async function startLoopbackControlPlane(options: LoopbackOptions): Promise<LoopbackControlPlane> {
  const binaries = await kubernetesBinaries(options.version);
  const places = meshPlaces(meshName(options.name));
  await claimPlaces(places, undefined);
  const forget = onInterrupt(() => removeMesh(places));
  const close = async (): Promise<void> => {
    await removeMesh(places);
    forget();
  };
  try {
    await mountPlaces(places);
    const [port = 0, client = 0, peer = 0] = await freePorts(3);
    const controlPlane = await ControlPlane.prepare(
      {
        cluster: options.name,
        cgroup: `${await cgroup2Mount()}/${places.cgroupName}`,
        directory: `${places.directory}/control-plane`,
        address: '127.0.0.1',
        port,
        etcdPorts: { client, peer },
        serviceCidrs: options.serviceCidrs ?? ['10.96.0.0/16', 'fd00:96::/112'],
        ...(options.apiserverFlags && { apiserverFlags: options.apiserverFlags }),
        controllerFlags: [NO_NODES, ...(options.controllerFlags ?? [])],
      },
      binaries,
    );
    await controlPlane.start();
    await controlPlane.ready();
    const { admin } = controlPlane.credentials.kubeconfigs;
    return { controlPlane, kubeconfig: admin, kubectl: binaries.kubectl, directory: places.directory, close };
  } catch (error) {
    await close();
    throw error;
  }
}
