/** Helm as the tests of the chart use it. Renders without a cluster. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { helmBinary } from '@tombolo/real-kubernetes/building/built.ts';
import { parseAllDocuments } from 'yaml';

export type Json = Readonly<Record<string, unknown>>;

/** An object that the chart makes. */
export interface Manifest extends Json {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

export interface Outcome {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export const CHART = fileURLToPath(new URL('../../../deploy/chart', import.meta.url));
export const NAMESPACE = 'tombolo';

/** `--set` of Helm, and values that it has no spelling for as JSON. */
export type Values = Readonly<Record<string, unknown>>;

export const EAST: Values = { 'cluster.name': 'east', 'cluster.id': 1 };

export async function helm(...args: readonly string[]): Promise<Outcome> {
  const program = await helmBinary();
  return new Promise((resolve) => {
    execFile(program, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, stdout, stderr }),
    );
  });
}

export const render = (values: Values, ...args: readonly string[]): Promise<Outcome> =>
  helm('template', 'tombolo', CHART, `--namespace=${NAMESPACE}`, ...setting(values), ...args);

/** What the chart makes of these values; throws what Helm said. */
export async function template(values: Values): Promise<readonly Manifest[]> {
  const { ok, stdout, stderr } = await render(values);
  if (!ok) throw new Error(`Cannot render ${JSON.stringify(values)}: ${stderr}`);
  return parseManifests(stdout);
}

export const setting = (values: Values): readonly string[] =>
  Object.entries(values).map(([path, value]) => `--set-json=${path}=${JSON.stringify(value)}`);

/** Throws for YAML with a repeated key, which kubectl would take. */
export const parseManifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) => {
    if ('errors' in document && document.errors[0]) throw document.errors[0];
    const manifest: unknown = document.toJS();
    return manifest === null ? [] : [manifest as Manifest];
  });

/** The files of a Secret, as the kubelet would mount them; throws when the chart makes no such Secret. */
export function secretFiles(manifests: readonly Manifest[], name: string): ReadonlyMap<string, Buffer> {
  const secret = manifests.find(({ kind, metadata }) => kind === 'Secret' && metadata.name === name);
  if (!secret) throw new Error(`Cannot find Secret ${name}`);
  const data = (secret['data'] ?? {}) as Readonly<Record<string, string>>;
  return new Map(Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'base64')]));
}
