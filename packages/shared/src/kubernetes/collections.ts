/** The collections that Tombolo follows. */

import type { AddressPool } from '../model/address-pool.ts';
import type { Cidr, IpAddress } from '../model/ip.ts';
import type { L2Advertisement } from '../model/l2-advertisement.ts';
import type { LocalEndpointSlice, LocalNamespace, LocalService } from '../model/service.ts';
import { convertCiliumPool, convertMetallbPool } from './address-pool-objects.ts';
import {
  convertBfdProfile,
  convertBgpAdvertisement,
  convertBgpPeer,
  convertCiliumAdvertisement,
  convertCiliumClusterConfig,
  convertCiliumNodeOverride,
  convertCiliumPeerConfig,
  convertCiliumPeeringPolicy,
  convertCommunity,
} from './bgp-objects.ts';
import type { Collection } from './collection.ts';
import type { Convert } from './conversion.ts';
import { convertEndpointSlice } from './endpoint-slice-object.ts';
import { convertL2Advertisement, convertL2Policy } from './l2-advertisement-objects.ts';
import { convertLoadBalancerService, type LoadBalancerService } from './load-balancer-object.ts';
import { convertNamespace } from './namespace-object.ts';
import { convertNode, type KubernetesNode } from './node-object.ts';
import { convertPod, convertPodAddresses, type KubernetesPod } from './pod-object.ts';
import { convertServiceCidr } from './service-cidr-object.ts';
import { convertService } from './service-object.ts';
import { convertServiceStatus, type ServiceStatusObject } from './service-status-object.ts';

/** The server leaves out what another proxy serves and what a mesh controller made; the converters check again. */
const NOT_PROXIED = '!service.kubernetes.io/service-proxy-name';
const NOT_MESH = 'endpointslice.kubernetes.io/managed-by!=endpointslice-mesh-controller.cilium.io';

export const SERVICES: Collection<LocalService> = {
  path: '/api/v1/services',
  selectors: { labelSelector: NOT_PROXIED },
  convert: convertService,
};

export const ENDPOINT_SLICES: Collection<LocalEndpointSlice> = {
  path: '/apis/discovery.k8s.io/v1/endpointslices',
  selectors: { labelSelector: `${NOT_PROXIED},${NOT_MESH}` },
  convert: convertEndpointSlice,
};

export const NAMESPACES: Collection<LocalNamespace> = { path: '/api/v1/namespaces', convert: convertNamespace };

export const NODES: Collection<KubernetesNode> = { path: '/api/v1/nodes', convert: convertNode };

export const nodeNamed = (name: string): Collection<KubernetesNode> => ({
  ...NODES,
  selectors: { fieldSelector: `metadata.name=${name}` },
});

/** Kubernetes before 1.33 has none: then nothing is known of them. */
export const SERVICE_CIDRS: Collection<readonly Cidr[]> = {
  path: '/apis/networking.k8s.io/v1/servicecidrs',
  convert: convertServiceCidr,
  isOptional: true,
};

/** The addresses of the pods on one node. */
export const podsOn = (node: string): Collection<readonly IpAddress[]> => ({
  path: '/api/v1/pods',
  selectors: { fieldSelector: `spec.nodeName=${node}` },
  convert: convertPodAddresses,
});

/** Pods at their end have no claim to an address any more: the server leaves them out. */
export const PODS: Collection<KubernetesPod> = {
  path: '/api/v1/pods',
  selectors: { fieldSelector: 'status.phase=Running' },
  convert: convertPod,
};

/** Whoever brings such objects to a cluster brings their kind first. */
const WITH_A_CRD = { isOptional: true, absentMs: 10_000 };

/** A cluster serves one version or both; then they are the same objects. */
export const CILIUM_POOLS: readonly Collection<AddressPool>[] = ['v2', 'v2alpha1'].map((version) => ({
  ...WITH_A_CRD,
  path: `/apis/cilium.io/${version}/ciliumloadbalancerippools`,
  convert: convertCiliumPool,
}));

/** Of the namespace in which MetalLB is: whoever makes pools elsewhere gives nothing away. */
export const metallbPools = (namespace: string): Collection<AddressPool> => ({
  ...WITH_A_CRD,
  path: `/apis/metallb.io/v1beta1/namespaces/${namespace}/ipaddresspools`,
  convert: convertMetallbPool,
});

/** Of the same namespace. */
export const l2Advertisements = (namespace: string): Collection<L2Advertisement> => ({
  ...WITH_A_CRD,
  path: `/apis/metallb.io/v1beta1/namespaces/${namespace}/l2advertisements`,
  convert: convertL2Advertisement,
});

export const L2_POLICIES: Collection<L2Advertisement> = {
  ...WITH_A_CRD,
  path: '/apis/cilium.io/v2alpha1/ciliuml2announcementpolicies',
  convert: convertL2Policy,
};

const metallb = <T>(namespace: string, version: string, kind: string, convert: Convert<T>): Collection<T> => ({
  ...WITH_A_CRD,
  path: `/apis/metallb.io/${version}/namespaces/${namespace}/${kind}`,
  convert,
});

/** What MetalLB has for BGP, in its namespace. */
export const metallbBgp = (namespace: string) => ({
  peers: metallb(namespace, 'v1beta2', 'bgppeers', convertBgpPeer),
  advertisements: metallb(namespace, 'v1beta1', 'bgpadvertisements', convertBgpAdvertisement),
  bfdProfiles: metallb(namespace, 'v1beta1', 'bfdprofiles', convertBfdProfile),
  communities: metallb(namespace, 'v1beta1', 'communities', convertCommunity),
});

/** A cluster serves one version or both; then they are the same objects. */
const cilium = <T>(kind: string, versions: readonly string[], convert: Convert<T>): readonly Collection<T>[] =>
  versions.map((version) => ({ ...WITH_A_CRD, path: `/apis/cilium.io/${version}/${kind}`, convert }));

const BOTH = ['v2', 'v2alpha1'];

export const CILIUM_BGP = {
  policies: cilium('ciliumbgppeeringpolicies', ['v2alpha1'], convertCiliumPeeringPolicy),
  clusterConfigs: cilium('ciliumbgpclusterconfigs', BOTH, convertCiliumClusterConfig),
  peerConfigs: cilium('ciliumbgppeerconfigs', BOTH, convertCiliumPeerConfig),
  advertisements: cilium('ciliumbgpadvertisements', BOTH, convertCiliumAdvertisement),
  overrides: cilium('ciliumbgpnodeconfigoverrides', BOTH, convertCiliumNodeOverride),
};

/** What is said of one node: whichever of MetalLB's two kinds of status, in its namespace. */
export const serviceStatuses = (path: string, node: string): Collection<ServiceStatusObject> => ({
  ...WITH_A_CRD,
  path,
  selectors: { labelSelector: `metallb.io/node=${node}` },
  convert: convertServiceStatus,
});

export const LOAD_BALANCER_SERVICES: Collection<LoadBalancerService> = {
  path: '/api/v1/services',
  convert: convertLoadBalancerService,
};
