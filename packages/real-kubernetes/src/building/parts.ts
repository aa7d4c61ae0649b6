/** What a real Kubernetes is made of here: Go programs, pinned by the go.mod and go.sum of their folder in `go/`. */

export interface GoProgram {
  /** Import path, or a path from the part's folder. */
  readonly package: string;
  readonly file: string;
  /** A test binary, of `go test -c`. */
  readonly test?: true;
}

export interface Part {
  readonly name: string;
  /** In `go/`. */
  readonly folder: string;
  /** In the folder; its go.sum lies beside it. */
  readonly modfile: string;
  /** The module whose version names the part; empty for our own. */
  readonly module: string;
  /** Of ours, in the folder. */
  readonly sources?: readonly string[];
  readonly programs: readonly GoProgram[];
  /** Variables that the linker sets, with the module's version in place of VERSION. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Names under which the first program is called, too. */
  readonly links?: readonly string[];
}

export const KUBERNETES_VERSIONS = ['1.37', '1.34'] as const;
export type KubernetesVersion = (typeof KUBERNETES_VERSIONS)[number];
export const NEWEST: KubernetesVersion = KUBERNETES_VERSIONS[0];

export const isKnownVersion = (version: string): version is KubernetesVersion =>
  KUBERNETES_VERSIONS.some((known) => known === version);

const CONTAINERD = 'github.com/containerd/containerd/v2';
const METALLB = 'go.universe.tf/metallb';
const VERSION = 'k8s.io/component-base/version';

export const ETCD = single('etcd', 'go.etcd.io/etcd/server/v3');
export const COREDNS = single('coredns', 'github.com/coredns/coredns');
export const HELM = single('helm', 'helm.sh/helm/v4', 'helm.sh/helm/v4/cmd/helm');
/** To stand beside, and to be moved from; its manifests are told of in `products.ts`. */
export const METALLB_PROGRAMS: Part = {
  ...single('metallb', METALLB),
  programs: ['controller', 'speaker'].map((name) => ({ package: `${METALLB}/${name}`, file: `metallb-${name}` })),
};
/** Our own, without dependencies. */
export const PAUSE = { ...single('pause', '', '.'), sources: ['main.go'] };

export const CONTAINERD_PART: Part = {
  ...single('containerd', CONTAINERD),
  programs: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => ({
    package: `${CONTAINERD}/cmd/${name}`,
    file: name,
  })),
};

/** A part of one program of its own name. */
function single(name: string, module: string, packagePath = module): Part {
  return { name, folder: name, modfile: 'go.mod', module, programs: [{ package: packagePath, file: name }] };
}

export function kubernetesPart(version: KubernetesVersion): Part {
  return {
    ...kubernetesModule(version),
    name: `kubernetes ${version}`,
    sources: ['main.go'],
    programs: [{ package: '.', file: 'kubernetes' }],
    variables: {
      [`${VERSION}.gitVersion`]: 'VERSION',
      [`${VERSION}.gitMajor`]: '1',
      [`${VERSION}.gitMinor`]: version.slice(2),
    },
    links: ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'kubectl'],
  };
}

/** Kubernetes' own network tests, what runs them side by side, and the program that their pods run. */
export function testsPart(version: KubernetesVersion): Part {
  return {
    ...kubernetesModule(version),
    name: `network tests of kubernetes ${version}`,
    sources: ['main.go', 'e2e/e2e_test.go'],
    programs: [
      { package: './e2e', file: 'e2e.test', test: true },
      { package: 'github.com/onsi/ginkgo/v2/ginkgo', file: 'ginkgo' },
      { package: 'k8s.io/kubernetes/test/images/agnhost', file: 'agnhost' },
    ],
  };
}

function kubernetesModule(version: KubernetesVersion) {
  return {
    folder: 'kubernetes',
    modfile: version === NEWEST ? 'go.mod' : `${version}.mod`,
    module: 'k8s.io/kubernetes',
  };
}
