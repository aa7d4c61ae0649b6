/**
 * Where the API server is and how we show who we are: a kubeconfig file, or the service account of the pod this process
 * runs in. Loaded anew, it knows what was written there since.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { KubeConfig as Config, User } from '@kubernetes/client-node';
import { load } from 'js-yaml';
import { reasonOf } from '../process/retry.ts';
import { KubeConfig } from './kubeconfig-library.ts';

export interface ConnectOptions {
  /** Path of a kubeconfig file. Without it, the service account of the pod this process runs in. */
  readonly kubeconfig?: string | undefined;
  /** A context of that file. Without it, its current context. */
  readonly context?: string | undefined;
  /** URL of the API server, in place of what is said there. */
  readonly server?: string | undefined;
}

/** Throws a sentence for a bad kubeconfig. */
export function loadConfig({ kubeconfig, context, server }: ConnectOptions): Config {
  const config = kubeconfig === undefined ? inClusterConfig() : fileConfig(kubeconfig, context);
  if (server === undefined) return config;
  config.clusters = (config.getClusters() ?? []).map((cluster) => ({ ...cluster, server }));
  return config;
}

function inClusterConfig(): Config {
  const config = new KubeConfig();
  config.loadFromCluster();
  if (config.getCurrentCluster()?.server.includes('//undefined')) {
    throw new Error(
      'Cannot find the Kubernetes API: expected a kubeconfig, or to run in a pod of the cluster: current value is neither',
    );
  }
  return config;
}

function fileConfig(path: string, context: string | undefined): Config {
  const cannot = (expected: string, cause?: unknown) =>
    new Error(`Cannot use kubeconfig ${path}: ${expected}`, cause === undefined ? {} : { cause });
  const loaded = new KubeConfig();
  try {
    readFileSync(path);
    loaded.loadFromFile(path);
  } catch (cause) {
    const isNoDocument = cause instanceof TypeError;
    throw cannot(isNoDocument ? 'expected a document with clusters, contexts and users' : reasonOf(cause), cause);
  }
  const name = context ?? loaded.getCurrentContext();
  const known = (loaded.getContexts() ?? []).map((each) => each.name);
  if (!known.includes(name)) {
    throw cannot(`expected a context among ${known.join(', ') || 'none'}: current value is ${name ?? 'absent'}`);
  }
  loaded.setCurrentContext(name);
  const cluster = loaded.getCurrentCluster();
  if (!cluster) throw cannot(`expected a cluster for context ${name}: current value is absent`);
  if (!/^https?:$/.test(URL.parse(cluster.server)?.protocol ?? '')) {
    throw cannot(`expected server to be an http or https URL: current value is ${JSON.stringify(cluster.server)}`);
  }
  const user = withTokenFile(loaded.getCurrentUser() ?? { name: 'anonymous' }, path);
  // The library asks for skipTLSVerify on plain http, where there is nothing to verify, and forgets the CA without user.
  const clear = cluster.server.startsWith('http:');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(clear ? { ...cluster, skipTLSVerify: true } : cluster, user);
  return config;
}

/** The library knows `tokenFile` of the service account only. */
function withTokenFile(user: User, path: string): User {
  const { users } = load(readFileSync(path, 'utf8')) as { users?: readonly { name?: unknown; user?: unknown }[] };
  const entry = users?.find(({ name }) => name === user.name)?.user as { tokenFile?: unknown } | null | undefined;
  if (typeof entry?.tokenFile !== 'string') return user;
  const tokenFile = resolve(dirname(path), entry.tokenFile);
  const { token: _, ...rest } = user; // Which would go before it, however old.
  return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile } } };
}
