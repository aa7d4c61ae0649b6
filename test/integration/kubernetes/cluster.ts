/** A Kubernetes to play transcripts against: the small one, or the real one. Both on loopback, without nodes. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfig } from '@tombolo/machine/kubernetes/kubeconfig.ts';
import { kubernetesBinaries } from '@tombolo/real-kubernetes/building/built.ts';
import { startLoopbackControlPlane } from '@tombolo/real-kubernetes/run/loopback.ts';
import { startKubernetesApi } from '@tombolo/small-kubernetes/api/start.ts';

export interface Cluster {
  /** What it printed, errors too, with its exit code. */
  kubectl(args: readonly string[], input?: string): Promise<{ readonly code: number; readonly text: string }>;
  /** Answers as soon as the headers are there. */
  send(method: string, path: string, body?: string, type?: string): Promise<IncomingMessage>;
  /** Forgets the history: what was watched or listed before this revision cannot be gone on with. */
  compact(revision: string): Promise<void>;
  close(): Promise<void>;
}

export async function smallCluster(): Promise<Cluster> {
  const api = await startKubernetesApi({ port: 0, bookmarkIntervalMs: 100 });
  const directory = await mkdtemp(join(tmpdir(), 'tbl-transcript-'));
  const path = join(directory, 'kubeconfig');
  await writeFile(path, kubeconfig([{ cluster: 'small', server: api.url, tls: undefined }]));
  const { kubectl } = await kubernetesBinaries();
  return {
    kubectl: (args, input) => run(kubectl, path, directory, args, input),
    send: sender(api.url),
    // Nothing else writes to it.
    compact: async () => api.store.compact(),
    close: async () => {
      await api.close();
      await rm(directory, { recursive: true });
    },
  };
}

export async function realCluster(): Promise<Cluster> {
  const { controlPlane, kubectl, directory, ...kubernetes } = await startLoopbackControlPlane({
    name: 'transcript',
    // The ConfigMap that it puts into each namespace would show in every list.
    controllerFlags: ['--controllers=-root-ca-certificate-publisher-controller'],
  });
  const { port, etcdPorts } = controlPlane.plan;
  const { admin } = controlPlane.credentials;
  const [ca, cert, key] = await Promise.all([admin.ca, admin.cert, admin.key].map((file) => readFile(file)));
  const etcd = async (method: string, body: object): Promise<void> => {
    const url = `http://127.0.0.1:${etcdPorts.client}/v3/kv/${method}`;
    const { ok, status } = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
    if (!ok) throw new Error(`Cannot ask etcd: ${method} answered ${status}`);
  };
  return {
    kubectl: (args, input) => run(kubectl, kubernetes.kubeconfig, directory, args, input),
    send: sender(`https://127.0.0.1:${port}`, { ca, cert, key }),
    compact: async (revision) => {
      await etcd('compaction', { revision, physical: true });
      // It has a memory of its own.
      await controlPlane.apiserver.kill();
      await controlPlane.apiserver.start();
      await controlPlane.ready();
    },
    close: () => kubernetes.close(),
  };
}

function run(kubectl: string, KUBECONFIG: string, HOME: string, args: readonly string[], input = '') {
  return new Promise<{ code: number; text: string }>((resolve) => {
    const options = { env: { ...process.env, KUBECONFIG, HOME }, timeout: 60_000 };
    const child = execFile(kubectl, args, options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, text: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}

const sender =
  (server: string, tls?: object): Cluster['send'] =>
  (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      // Node adds no length to the body of a DELETE.
      const about = body === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(body) };
      const headers = { 'user-agent': 'transcript/1', ...about };
      const options = { method, headers, agent: false, ...tls };
      const outgoing = (tls ? tlsRequest : request)(new URL(path, server), options, resolve);
      outgoing.once('error', reject).end(body);
    });
