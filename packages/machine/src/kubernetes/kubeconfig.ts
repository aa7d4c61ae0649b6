/** A kubeconfig that needs no other file: one context for each cluster, named as the cluster; the first is current. */
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface KubeconfigEntry {
  readonly cluster: string;
  readonly server: string;
  /** Absent for plain HTTP. */
  readonly tls?: TlsFiles | undefined;
  /** In place of the client certificate of `tls`. */
  readonly token?: string;
}

export function kubeconfig(entries: readonly KubeconfigEntry[]): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: entries.map(({ cluster, server, tls }) => ({
      name: cluster,
      cluster: { server, ...(tls && { 'certificate-authority-data': base64(tls.ca) }) },
    })),
    users: entries.map((entry) => ({ name: entry.cluster, user: userOf(entry) })),
    contexts: entries.map(({ cluster }) => ({ name: cluster, context: { cluster, user: cluster } })),
    'current-context': entries[0]?.cluster,
  });
}

function userOf({ tls, token }: KubeconfigEntry): object {
  if (token !== undefined) return { token };
  return tls ? { 'client-certificate-data': base64(tls.cert), 'client-key-data': base64(tls.key) } : {};
}

const base64 = (file: string): string => readFileSync(file).toString('base64');
