/**
 * Tokens and certificates change while our programs run: they read what is on disk and go on, without a restart. Once as
 * a pod has them (the service account that Kubernetes projects), once as a kubeconfig that names the same files.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command } from '@tombolo/machine/command.ts';
import { KubernetesClient } from '@tombolo/machine/kubernetes/client.ts';
import { Pki } from '@tombolo/machine/pki.ts';
import type { Program } from '@tombolo/machine/program.ts';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { EtcdServer } from '../etcd/etcd-server.ts';
import { TroubledControlPlane } from './control-plane.ts';
import { ProjectedVolume, startPod } from './pod-program.ts';
import { exportedIn, FOLLOWERS, Programs } from './programs.ts';
import { openShop, SOON_MS, setBackends } from './shop.ts';

const NAMESPACE = 'kube-system';

describe('credentials that change', () => {
  let directory: string;
  let kubernetes: TroubledControlPlane;
  let volume: ProjectedVolume;
  let etcd: EtcdServer;
  let pod: Program;
  let programs: Programs;
  let ca: string;
  let backend = 0;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-credentials-'));
    kubernetes = await TroubledControlPlane.start({ name: 'kfcredentials' });
    await openShop(kubernetes.api, []);
    await kubernetes.kubectl('create', 'serviceaccount', 'tombolo', '-n', NAMESPACE);
    await kubernetes.bind('tombolo-pod', `--serviceaccount=${NAMESPACE}:tombolo`);
    volume = new ProjectedVolume(join(directory, 'volume'));
    ca = await readFile(kubernetes.controlPlane.credentials.pki.ca, 'utf8');
    await project(await newToken('first'));
    const kubeconfig = join(directory, 'kubeconfig');
    const cluster = {
      server: kubernetes.controlPlane.server,
      'certificate-authority': join(volume.directory, 'ca.crt'),
    };
    await writeFile(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'c', cluster }],
        users: [{ name: 'u', user: { tokenFile: 'volume/token' } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    etcd = await EtcdServer.start();
    const { port, cgroup } = kubernetes.controlPlane.plan;
    const logFile = join(directory, 'pod.log');
    pod = await startPod({ volume, port, etcd: etcd.endpoint, cgroup: `${cgroup}/pod`, logFile });
    programs = await Programs.start(kubeconfig);
    await followed();
  });
  after(async () => {
    await programs?.close();
    await pod?.kill();
    await etcd?.stop();
    await kubernetes?.close();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(() => void programs.logged.splice(0));
  afterEach(async () => {
    assert.ok(pod.running, await pod.logTail());
    await programs.well(SOON_MS);
  });

  /** A token that is good as long as its Secret is there; ten minutes are the least that can be asked for. */
  async function newToken(secret: string): Promise<string> {
    await kubernetes.kubectl('create', 'secret', 'generic', secret, '-n', NAMESPACE);
    const bound = ['--bound-object-kind=Secret', `--bound-object-name=${secret}`];
    const token = await kubernetes.kubectl('create', 'token', 'tombolo', '-n', NAMESPACE, '--duration=10m', ...bound);
    return token.trim();
  }

  const project = (token: string): Promise<void> => volume.write({ token, 'ca.crt': ca, namespace: NAMESPACE });

  /** A change of this moment reaches the table and the exports of both programs. */
  async function followed(): Promise<void> {
    const addresses = [`10.1.0.${++backend}`];
    await setBackends(kubernetes.api, addresses);
    await programs.have(addresses, SOON_MS);
    const inPod = async () => `${await exportedIn(etcd)}` === `${addresses}`;
    await waitUntil('the export of the pod', inPod, { timeoutMs: SOON_MS }).catch(async (cause) => {
      throw new Error(`Waited in vain for the pod: ${await pod.logTail(5)}`, { cause });
    });
  }

  /** Neither the table nor any export has lost anything. */
  async function stays(): Promise<void> {
    const addresses = [`10.1.0.${backend}`];
    assert.deepEqual(programs.used(), addresses);
    assert.deepEqual(await programs.exported(), addresses);
    assert.deepEqual(await exportedIn(etcd), addresses);
  }

  it('a token is replaced, and the old one no longer accepted', async () => {
    await project(await newToken('second'));
    await kubernetes.kubectl('delete', 'secret', 'first', '-n', NAMESPACE);
    await kubernetes.restartApiserver(); // It forgets whom it let in, and everybody has to come again.
    await followed();
  });

  it('the key that tokens are signed with is replaced, and new tokens come late', async () => {
    const { serviceAccountKey } = kubernetes.controlPlane.credentials;
    await command(['openssl', 'genrsa', '-out', serviceAccountKey, '2048']);
    await kubernetes.restartApiserver();
    await programs.complain(/401/, SOON_MS);
    await stays();
    await project(await newToken('third'));
    await followed();
  });

  describe('the cluster’s CA', () => {
    let next: Pki;
    let old: string;
    let argv: (argv: readonly string[]) => readonly string[];

    before(async () => {
      const { directory: place, address } = kubernetes.controlPlane.plan;
      next = await Pki.create(place, 'next-ca');
      const { cert, key } = await next.issue('kube-apiserver', `DNS:localhost,IP:${address}`);
      old = ca;
      argv = (argv) => [...argv, `--tls-cert-file=${cert}`, `--tls-private-key-file=${key}`];
    });

    /** We, who are administrators here, do as we expect of others. */
    async function trust(bundle: string): Promise<void> {
      ca = bundle;
      await project(await readFile(join(volume.directory, 'token'), 'utf8'));
      const { admin } = kubernetes.controlPlane.credentials;
      const { address: host, port } = kubernetes.controlPlane.plan;
      kubernetes.api = new KubernetesClient({
        host,
        port,
        tls: { ...admin, ca: join(volume.directory, 'ca.crt') },
      });
    }

    it('is rotated as it should be: both are trusted, then the certificate changes', async () => {
      await trust(old + (await readFile(next.ca, 'utf8')));
      await kubernetes.restartApiserver(argv);
      await followed();
      const said = programs.said(/^Cannot follow/);
      assert.ok(said.length <= FOLLOWERS, `${said}: nothing but the restart is complained of`);
    });

    it('is replaced in the wrong order: the table stays until the new one, and no other, is on disk', async () => {
      const last = await Pki.create(kubernetes.controlPlane.plan.directory, 'last-ca');
      const { cert, key } = await last.issue('kube-apiserver', 'DNS:localhost,IP:127.0.0.1');
      await kubernetes.apiserver.kill();
      const waiting = kubernetes.restartApiserver((argv) => [
        ...argv,
        `--tls-cert-file=${cert}`,
        `--tls-private-key-file=${key}`,
      ]);
      await programs.complain(/certificate/, SOON_MS);
      await stays();
      await trust(await readFile(last.ca, 'utf8'));
      await waiting;
      await followed();
    });
  });
});
