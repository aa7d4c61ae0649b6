/** What somebody needs to know who goes on with a mesh that was left running. */
import { allNodes, type MeshPlan } from './plan.ts';

export interface KeptMesh {
  /** How to take it down. */
  readonly down?: string;
  /** Without Tombolo, which is to be installed. */
  readonly bare?: boolean | undefined;
}

export function keptMeshHelp(plan: MeshPlan, { down = `${dev(plan)} down`, bare }: KeptMesh = {}): string {
  const [first] = allNodes(plan);
  const contexts = plan.clusters.map(({ name }) => name).join(', ');
  return [
    `It goes on running. kubectl has a context for each cluster (${contexts}):`,
    `    export KUBECONFIG=${plan.kubeconfig}`,
    ...(bare ? bareHelp(plan) : agentsHelp(plan)),
    'Commands in pods and nodes:',
    `    ${dev(plan)} exec ${first?.cluster} POD -- curl http://…`,
    `    ${dev(plan)} node ${first?.name} -- ip route`,
    `Logs are below ${plan.directory}. Take it all down:`,
    `    ${down}`,
  ].join('\n');
}

const bareHelp = (plan: MeshPlan): readonly string[] => [
  'Images come to the nodes without a registry:',
  `    ${dev(plan)} load build/image/….tar`,
];

function agentsHelp(plan: MeshPlan): readonly string[] {
  const [first] = allNodes(plan);
  return [
    'Each node’s agent answers tombolo (and any gRPC client) on a socket:',
    ...allNodes(plan).map(({ agentSocket }) => `    unix://${agentSocket}`),
    `    export TOMBOLO_ADDRESS=unix://${first?.agentSocket}`,
  ];
}

const dev = ({ name }: MeshPlan): string => (name === 'demo' ? 'scripts/dev' : `scripts/dev -m ${name}`);
