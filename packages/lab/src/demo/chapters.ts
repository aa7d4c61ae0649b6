/** The story of the demo, chapter by chapter. Each shows what it did and checks what it claims. */
import { isReady, type Pod } from '@tombolo/machine/kubernetes/objects.ts';
import { byCluster } from '@tombolo/machine/programs/request-log.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { clustersOf, dev, isUsed, type Stage, total } from './stage.ts';

export interface Chapter {
  readonly title: string;
  tell(stage: Stage): Promise<void>;
}

const GLOBAL = 'service.cilium.io/global';
const AFFINITY = 'service.cilium.io/affinity';

export const CHAPTERS: readonly Chapter[] = [
  { title: 'A Service of the same name in both clusters; each keeps to its own pods', tell: beforeTheAnnotation },
  { title: 'Make it global: one annotation in each cluster', tell: makeGlobal },
  { title: 'A pod in west turns unready', tell: turnUnready },
  { title: 'West loses its control plane', tell: killControlPlane },
  { title: 'The agent of the client’s node is killed', tell: killAgent },
  { title: 'Prefer the local cluster', tell: preferLocal },
];

async function beforeTheAnnotation(stage: Stage): Promise<void> {
  await stage.kubectl('east', ['get', 'pods,services', '-o', 'wide']);
  await stage.waitForTable('east’s own backends', (backends) => backends.filter(isUsed).length === 2);
  const answers = await stage.curl(20);
  stage.narrator.check('only east answers', clustersOf(answers).join() === 'east' && total(answers) === 20, answers);
}

async function makeGlobal(stage: Stage): Promise<void> {
  for (const cluster of ['west', 'east'])
    await stage.kubectl(cluster, ['annotate', 'service', 'web', `${GLOBAL}=true`]);
  await stage.waitForTable('four backends', (backends) => backends.filter(isUsed).length === 4);
  const answers = await stage.curl(60);
  const all = Object.keys(answers).length === 4 && clustersOf(answers).join() === 'east,west';
  stage.narrator.check('both clusters answer, every pod of both', all && total(answers) === 60, answers);
  const table = await stage.tombolo('service', 'default/web');
  stage.narrator.check('the table of the agent says who they are', /west/.test(table) && /4 of 4/.test(table), table);
}

async function turnUnready(stage: Stage): Promise<void> {
  const { narrator, mesh } = stage;
  const west = mesh.cluster('west');
  const name = await somePod(stage, 'west');
  const pod = await west.pod(name);
  const toggle = async (state: 'ready' | 'unready'): Promise<void> => {
    const argv = ['curl', '-sS', '-X', 'POST', `http://127.0.0.1:8080/${state}`];
    narrator.command(`${dev(mesh)} exec west ${name} -- ${argv.join(' ')}`, await pod.exec(argv));
  };
  const used = (wanted: boolean) =>
    stage.waitForTable(
      `${pod.address} to be ${wanted ? 'used' : 'out'}`,
      (backends) => backends.some((backend) => backend.address === pod.address && isUsed(backend)) === wanted,
    );
  await toggle('unready');
  await used(false);
  const answers = await stage.curl(45);
  const spared = !Object.keys(answers).some((signature) => signature.endsWith(name));
  narrator.check('it gets no more requests, all others do', spared && Object.keys(answers).length === 3, answers);
  await toggle('ready');
  await used(true);
  narrator.check('ready again, it is used again', true, '');
}

async function killControlPlane(stage: Stage): Promise<void> {
  const { narrator, mesh } = stage;
  const { apiserver, etcd, ...west } = mesh.cluster('west');
  const stream = await stage.sendRequests();
  await stream.more(50);
  narrator.command(`kill -9 ${apiserver.pid} ${etcd.pid}   # clustermesh-apiserver and etcd of west`);
  await Promise.all([apiserver.kill(), etcd.kill()]);
  await waitUntil('west to be silent', async () => (await stage.control('west')) === 'silent');
  const after = await stream.more(300);
  const listed = await stage.tombolo('clusters');
  narrator.check('east says that west is silent', /west .*silent/.test(listed), listed);
  const counts = await stage.stop(stream);
  narrator.check('not one request failed', counts.failed === 0, counts);
  narrator.check('both clusters go on answering', Object.keys(byCluster(after)).join() === 'east,west', counts.by);
  const answers = await stage.curl(20);
  narrator.check(
    'new clients find both, too',
    clustersOf(answers).join() === 'east,west' && total(answers) === 20,
    answers,
  );
  await etcd.start();
  await mesh.cluster('west').etcdReady();
  await apiserver.start();
  await mesh.cluster('west').apiserverReady();
  narrator.say(`(etcd and clustermesh-apiserver of ${west.name} are up again.)`);
}

async function killAgent(stage: Stage): Promise<void> {
  const { narrator, mesh, client } = stage;
  const node = mesh.cluster('east').node(client.node.name);
  const stream = await stage.sendRequests();
  await stream.more(50);
  narrator.command(`kill -9 ${node.agent.pid}   # node-agent of ${node.name}`);
  await node.agent.kill();
  await stream.more(200);
  narrator.say('(No agent runs: the kernel goes on with what it was told. Now it is started again.)');
  await node.agent.start();
  await node.agentReady();
  await stream.more(200);
  const counts = await stage.stop(stream);
  narrator.check('not one request failed', counts.failed === 0 && counts.answered > 400, counts);
  narrator.check('both clusters answered', Object.keys(byCluster(counts)).join() === 'east,west', counts.by);
  await stage.waitForTable('four backends', (backends) => backends.filter(isUsed).length === 4);
}

async function preferLocal(stage: Stage): Promise<void> {
  const { narrator } = stage;
  await stage.kubectl('east', ['annotate', 'service', 'web', `${AFFINITY}=local`]);
  await stage.waitForTable('two backends', (backends) => backends.filter(isUsed).length === 2);
  const near = await stage.curl(20);
  narrator.check('only east answers, west waits', clustersOf(near).join() === 'east' && total(near) === 20, near);
  const stream = await stage.sendRequests();
  await stream.more(50);
  await stage.kubectl('east', ['scale', 'deployment', 'web', '--replicas=0']);
  await waitUntil('east’s pods to be gone', async () => (await webPods(stage, 'east')).length === 0);
  await stream.more(100);
  const counts = await stage.stop(stream);
  narrator.check('not one request failed while east’s pods ended', counts.failed === 0, counts);
  const far = await stage.curl(20);
  narrator.check('without a pod in east, west answers', clustersOf(far).join() === 'west' && total(far) === 20, far);
}

async function somePod(stage: Stage, cluster: string): Promise<string> {
  const name = (await webPods(stage, cluster)).filter(isReady)[0]?.metadata.name;
  if (name === undefined) throw new Error(`Cannot find a ready pod of web in ${cluster}: there is none`);
  return name;
}

async function webPods(stage: Stage, cluster: string): Promise<readonly Pod[]> {
  const path = '/api/v1/namespaces/default/pods?labelSelector=app%3Dweb';
  return (await stage.mesh.cluster(cluster).api.get<{ readonly items: readonly Pod[] }>(path)).items;
}
