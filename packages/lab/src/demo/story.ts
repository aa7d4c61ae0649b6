/** Sets the stage and tells all chapters in order. */
import type { Mesh } from '../mesh/mesh.ts';
import { CHAPTERS } from './chapters.ts';
import type { Narrator } from './narrator.ts';
import { manifest, Stage } from './stage.ts';

export async function tellStory(mesh: Mesh, narrator: Narrator): Promise<void> {
  const stage = await setTheStage(mesh, narrator);
  for (const { title, tell } of CHAPTERS) {
    narrator.chapter(title);
    await tell(stage);
  }
}

/** What a user would have applied: the Service with its pods in both clusters, and a pod to ask from. */
async function setTheStage(mesh: Mesh, narrator: Narrator): Promise<Stage> {
  const applied = [
    ['east', 'web.yaml'],
    ['east', 'client.yaml'],
    ['west', 'web.yaml'],
  ] as const;
  for (const [cluster, file] of applied) {
    const args = ['apply', '-f', manifest(file)];
    narrator.command(`kubectl --context ${cluster} ${args.join(' ')}`, await mesh.cluster(cluster).kubectl(args));
  }
  for (const { name } of mesh.clusters) {
    const args = ['rollout', 'status', 'deployment/web'];
    narrator.command(`kubectl --context ${name} ${args.join(' ')}`, lastLine(await mesh.cluster(name).kubectl(args)));
  }
  const east = mesh.cluster('east');
  const client = await east.pod('client');
  return new Stage(mesh, narrator, client, `http://${await east.serviceAddress('web')}/`);
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';
