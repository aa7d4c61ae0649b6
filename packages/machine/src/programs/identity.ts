/** Who a pod is, as its kubelet told it. */
export const IDENTITY = {
  cluster: process.env['CLUSTER_NAME'] ?? '',
  node: process.env['NODE_NAME'] ?? '',
  namespace: process.env['POD_NAMESPACE'] ?? '',
  pod: process.env['POD_NAME'] ?? process.env['HOSTNAME'] ?? '',
  address: process.env['POD_IP'] ?? '',
};

/** `east/east-1/web-0` */
export const SIGNATURE = `${IDENTITY.cluster}/${IDENTITY.node}/${IDENTITY.pod}`;
