/**
 * One file of the clustermesh directory: how to reach the etcd of one cluster, in the YAML of etcd's client with Cilium's
 * `cilium-host-aliases`. Text in, settings or a sentence out; secrets never get into the sentence.
 */
import { isAbsolute, resolve } from 'node:path';
import type { EtcdConfig, EtcdTls, HostAlias } from '@tombolo/shared/etcd/config.ts';
import { fail, ok, type Result } from '@tombolo/shared/model/result.ts';
import { load, YAMLException } from 'js-yaml';

/** What makes a file the configuration of a cluster; certificates and keys lie in the same directory. */
export const isClusterFile = (text: string): boolean => text.includes('endpoints:');

type Fields = Readonly<Record<string, unknown>>;

/** `path` is for messages; relative paths in the file are taken from `directory`. */
export function parseClusterFile(path: string, text: string, directory: string): Result<EtcdConfig> {
  const what = `Cannot use clustermesh file ${path}`;
  const yaml = parseYaml(text);
  if (!yaml.ok) return fail(`${what}: ${yaml.error}`);
  const problems: string[] = [];
  const config = readConfig(yaml.value, directory, problems);
  return problems.length === 0 ? ok(config) : fail(`${what}: ${problems.join('; ')}`);
}

function parseYaml(text: string): Result<Fields> {
  try {
    const value: unknown = load(text);
    return isFields(value) ? ok(value) : fail('expected a YAML mapping with endpoints');
  } catch (error) {
    // Not the message: it may quote the line, and that may be the password.
    const line = error instanceof YAMLException && error.mark ? error.mark.line + 1 : 1;
    return fail(`expected valid YAML: found an error at line ${line}`);
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readConfig(fields: Fields, directory: string, problems: string[]): EtcdConfig {
  if (fields['insecure-skip-tls-verify'] === true) {
    problems.push('insecure-skip-tls-verify is not supported: give the authority in trusted-ca-file instead');
  }
  return {
    endpoints: readEndpoints(fields['endpoints'], problems),
    tls: readTls(fields, directory, problems),
    username: readText(fields, 'username', problems),
    password: readText(fields, 'password', problems),
    hostAliases: readAliases(fields['cilium-host-aliases'], problems),
  };
}

function readEndpoints(value: unknown, problems: string[]): readonly string[] {
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')) return value;
  problems.push('endpoints must be a list of at least one URL such as https://HOST:2379');
  return [];
}

function readText(fields: Fields, name: string, problems: string[]): string | undefined {
  const value = fields[name] ?? '';
  if (typeof value !== 'string') problems.push(`${name} must be text`);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Undefined when no file is named: then the system's authorities count. */
function readTls(fields: Fields, directory: string, problems: string[]): EtcdTls | undefined {
  const file = (name: string): string | undefined => {
    const path = readText(fields, name, problems);
    return path === undefined || isAbsolute(path) ? path : resolve(directory, path);
  };
  const tls = { ca: file('trusted-ca-file'), cert: file('cert-file'), key: file('key-file') };
  if ((tls.cert === undefined) !== (tls.key === undefined))
    problems.push('cert-file and key-file must be given together');
  return Object.values(tls).some((path) => path !== undefined) ? tls : undefined;
}

function readAliases(value: unknown, problems: string[]): readonly HostAlias[] | undefined {
  if (value === undefined || value === null) return undefined;
  const aliases = (Array.isArray(value) ? value : [value]).map((item) => readAlias(item, problems));
  const names = aliases.map(({ hostname }) => hostname);
  if (new Set(names).size < names.length) problems.push('cilium-host-aliases must name each hostname once');
  return aliases;
}

function readAlias(value: unknown, problems: string[]): HostAlias {
  const { hostname, ips } = isFields(value) ? value : {};
  if (typeof hostname === 'string' && hostname !== '' && isTextList(ips)) return { hostname, ips };
  problems.push('each of cilium-host-aliases must have a hostname and a list of at least one address in ips');
  return { hostname: '', ips: [] };
}

const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
