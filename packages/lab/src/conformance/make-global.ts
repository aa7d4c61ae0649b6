/** Objects by which the API server itself makes every Service of the tests global, whoever writes it. */
import type { Manifest } from '@tombolo/machine/kubernetes/objects.ts';

const NAME = 'make-services-global';
const GROUP = 'admissionregistration.k8s.io/v1';

export const MAKE_GLOBAL: readonly Manifest[] = [
  {
    apiVersion: GROUP,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name: NAME },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        resourceRules: [
          { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['services'] },
        ],
      },
      matchConditions: [
        { name: 'of-the-tests', expression: "!(object.metadata.namespace in ['default', 'kube-system'])" },
      ],
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: 'Object{metadata: Object.metadata{annotations: {"service.cilium.io/global": "true"}}}',
          },
        },
      ],
    },
  },
  {
    apiVersion: GROUP,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name: NAME },
    spec: { policyName: NAME },
  },
];
