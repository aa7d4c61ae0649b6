/** Which of Kubernetes' tests are run. Regular expressions over their full names, as Ginkgo takes them. */

export const FOCUS = String.raw`\[sig-network\] (Services|EndpointSlice|EndpointSliceMirroring|Networking|DNS) `;

/** What needs a cloud's load balancer, another cluster, features that are not on, or the cluster for itself. */
export const SKIP = String.raw`\[Serial\]|\[Disruptive\]|Feature:|\[Slow\]|LoadBalancer|\[Provider:`;

/** Those that tell most in little time. */
export const QUICK: readonly string[] = [
  'Services should serve multiport endpoints from pods',
  'Services should be able to create a functioning NodePort service',
  'Services should allow pods to hairpin back to themselves through services',
  'Services should be rejected when no endpoints exist',
  'Services should implement service.kubernetes.io/headless',
  'Services should preserve source pod IP for traffic thru service cluster IP',
  'Services should fallback to terminating endpoints when there are no ready endpoints with internalTrafficPolicy=Cluster',
  'Services should have session affinity work for service with type clusterIP',
  'Services should be possible to connect to a service via ExternalIP',
  'EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices',
  'DNS should provide DNS for services',
];

export const quickFocus = (): string =>
  QUICK.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('|');
