/** What somebody needs to know who goes on with a mesh that was left running. */
import { allNodes, type MeshPlan } from './plan.ts';

export function keptMeshHelp(plan: MeshPlan, down = `scripts/dev${flag(plan)} down`): string {
  const [first] = allNodes(plan);
  const contexts = plan.clusters.map(({ name }) => name).join(', ');
  const agents = allNodes(plan).map(({ agentSocket }) => `    unix://${agentSocket}`);
  return [
    `It goes on running. kubectl has a context for each cluster (${contexts}):`,
    `    export KUBECONFIG=${plan.kubeconfig}`,
    'Each node’s agent answers tombolo (and any gRPC client) on a socket:',
    ...agents,
    `    export TOMBOLO_ADDRESS=unix://${first?.agentSocket}`,
    'Commands in pods and nodes:',
    `    scripts/dev${flag(plan)} exec ${first?.cluster} POD -- curl http://…`,
    `    scripts/dev${flag(plan)} node ${first?.name} -- ip route`,
    `Logs are below ${plan.directory}. Take it all down:`,
    `    ${down}`,
  ].join('\n');
}

const flag = ({ name }: MeshPlan): string => (name === 'demo' ? '' : ` -m ${name}`);
