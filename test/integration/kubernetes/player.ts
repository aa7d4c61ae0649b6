/**
 * Plays the commands of a transcript in a namespace of its own, and tells what they print:
 *
 *   kubectl ARGS                 as typed in a shell; with `<<END` the lines up to END are its input
 *   GET PATH, POST PATH …        the status and what the answer is about; with `<<END` the body, as YAML
 *   APPLY PATH                   a PATCH with a configuration to apply
 *   remember NAME FIELD PATH     $NAME is from now on a field of what GET answers
 *   watch NAME PATH              opens a watch
 *   told NAME COUNT              the next events of a watch, without bookmarks but that which ends the first objects
 *   ended NAME                   waits until a watch has ended
 *   reached NAME WATCH           $NAME is from now on the revision that a watch has come to
 *   gone PATH                    waits until there is no such object
 *   owners PATH                  who set which fields
 *   compact REVISION             what was before is forgotten
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { waitUntil } from '@tombolo/machine/wait.ts';
import { parse } from 'yaml';
import type { Cluster } from './cluster.ts';

interface ApiObject {
  readonly kind: string;
  readonly metadata: {
    readonly name?: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly {
      readonly manager: string;
      readonly operation: string;
      readonly subresource?: string;
      readonly fieldsV1: object;
    }[];
  };
  readonly [field: string]: unknown;
}

interface WatchEvent {
  readonly type: string;
  readonly object: ApiObject;
}

interface Watched {
  readonly response: IncomingMessage;
  readonly events: WatchEvent[];
  /** Of the last event, bookmarks included. */
  revision: string | undefined;
  told: number;
  isOver: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  APPLY: 'application/apply-patch+yaml',
  PATCH: 'application/merge-patch+json',
};

export class Player {
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #remembered = new Map<string, string>();
  readonly #watches = new Map<string, Watched>();

  constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  async open(): Promise<void> {
    await this.#cluster.kubectl(['create', 'namespace', this.#namespace]);
    // Pods need it.
    await this.#kubectl('kubectl wait --for=create serviceaccount/default --timeout=30s', undefined);
  }

  close(): void {
    for (const { response } of this.#watches.values()) response.destroy();
  }

  async play(lines: readonly string[]): Promise<string[]> {
    const printed: string[] = [];
    for (let at = 0; at < lines.length; at++) {
      const [, command = '', end] = /^(.*?)(?: <<(\w+))?$/.exec(lines[at] ?? '') ?? [];
      const last = end === undefined ? at : lines.indexOf(end, at);
      const input = end === undefined ? undefined : lines.slice(at + 1, last).join('\n');
      at = last;
      const text = await this.#run(this.#resolve(command), input && this.#resolve(input));
      if (text !== '') printed.push(...text.split('\n'));
    }
    return printed.map(normalized);
  }

  async #run(command: string, input: string | undefined): Promise<string> {
    const [verb = '', name = '', field = '', path = ''] = command.split(' ');
    switch (verb) {
      case 'kubectl':
        return this.#kubectl(command, input);
      case 'remember':
        this.#remember(name, fieldAt(await this.#get(path), field));
        return '';
      case 'watch':
        await this.#watch(name, field);
        return '';
      case 'told':
        return this.#told(this.#watchNamed(name), Number(field));
      case 'ended':
        await this.#until(this.#watchNamed(name), ({ isOver }) => isOver);
        return '';
      case 'reached':
        this.#remember(name, this.#watchNamed(field).revision);
        return '';
      case 'gone':
        await waitUntil(`${name} to be gone`, async () => (await this.#get(name))['code'] === 404);
        return '';
      case 'owners':
        return ownersOf(await this.#get(name));
      case 'compact':
        await this.#cluster.compact(name);
        return '';
      default:
        return this.#request(verb, name, input);
    }
  }

  async #kubectl(command: string, input: string | undefined): Promise<string> {
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    const { code, text } = await this.#cluster.kubectl([...words.slice(1), '-n', this.#namespace], input);
    const lines = text.trimEnd().split('\n');
    // What kubectl says of every conflict is not ours to check.
    const until = lines.findIndex((line) => line.startsWith('Please review the fields above'));
    const shown = (until < 0 ? lines : lines.slice(0, until))
      .map((line) => line.trimEnd())
      .filter((line) => line !== '');
    return [...shown, ...(code === 0 ? [] : [`exit ${code}`])].join('\n');
  }

  async #request(verb: string, path: string, input: string | undefined): Promise<string> {
    const method = verb === 'APPLY' ? 'PATCH' : verb;
    const body = input === undefined ? undefined : JSON.stringify(parse(input));
    const response = await this.#cluster.send(method, path, body, TYPES[verb]);
    const answer = (await json(response)) as ApiObject;
    return `${response.statusCode} ${describe(answer)}`;
  }

  #remember(name: string, value: unknown): void {
    if (typeof value !== 'string' || value === '') throw new Error(`Cannot remember ${name}: there is no such text`);
    this.#remembered.set(name, value);
  }

  async #get(path: string): Promise<ApiObject> {
    return (await json(await this.#cluster.send('GET', path))) as ApiObject;
  }

  async #watch(name: string, path: string): Promise<void> {
    const response = await this.#cluster.send('GET', `${path}${path.includes('?') ? '&' : '?'}watch=true`);
    const watched: Watched = { response, events: [], revision: undefined, told: 0, isOver: false };
    this.#watches.set(name, watched);
    response.on('error', () => {}); // Of a server that goes.
    createInterface({ input: response })
      .on('error', () => {})
      .on('line', (line) => {
        const event = JSON.parse(line) as WatchEvent;
        watched.revision = event.object.metadata.resourceVersion;
        if (event.type !== 'BOOKMARK' || event.object.metadata.annotations) watched.events.push(event);
        response.emit('heard');
      })
      .once('close', () => {
        watched.isOver = true;
        response.emit('heard');
      });
  }

  #watchNamed(name: string): Watched {
    const watched = this.#watches.get(name);
    if (!watched) throw new Error(`Cannot go on: expected a watch of the name ${name}`);
    return watched;
  }

  async #until(watched: Watched, holds: (watched: Watched) => boolean): Promise<void> {
    while (!holds(watched)) await once(watched.response, 'heard');
  }

  async #told(watched: Watched, count: number): Promise<string> {
    await this.#until(watched, ({ isOver, events }) => isOver || events.length >= watched.told + count);
    const events = watched.events.slice(watched.told, watched.told + count);
    watched.told += events.length;
    return events.map(({ type, object }) => `${type} ${describe(object)}`).join('\n');
  }

  #resolve(text: string): string {
    return text.replaceAll(/\$(\w+)/g, (whole, name: string) => this.#remembered.get(name) ?? whole);
  }
}

/** Without what must differ from run to run. */
const normalized = (line: string): string =>
  line
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<uid>')
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
    .replaceAll(/(?<=resource version: )\d+ \(\d+\)/g, '<revision> (<revision>)')
    .replaceAll(/\bweb-[a-z0-9]{6,10}\b/g, 'web-<hash>');

/** What an answer is about, in a line: the reason of a refusal, or an object with what the transcripts look at. */
function describe(object: ApiObject): string {
  const { kind, metadata, data, status, spec } = object;
  if (kind === 'Status') return [object['reason'], object['message']].filter(Boolean).join(': ') || 'Success';
  const { name, labels, annotations = {} } = metadata;
  const end = annotations['k8s.io/initial-events-end'];
  const shown = { labels, end, data, ...(kind === 'Scale' ? { spec, status } : {}) };
  const items = object['items'] as readonly ApiObject[] | undefined;
  const names = items?.map((item) => item.metadata.name).join(' ');
  return [kind, name, names, JSON.stringify(shown) === '{}' ? undefined : JSON.stringify(shown)]
    .filter(Boolean)
    .join(' ');
}

function ownersOf({ metadata: { managedFields = [] } }: ApiObject): string {
  const lines = managedFields.map(({ manager, operation, subresource, fieldsV1 }) => {
    const who = [operation, manager, subresource].filter(Boolean).join(' ');
    return { who, fields: leavesOf(fieldsV1).sort() };
  });
  const owners = lines.filter(({ fields }) => fields.length > 0);
  return owners
    .map(({ who, fields }) => `${who}: ${fields.join(' ')}`)
    .sort()
    .join('\n');
}

/** That a map is there at all is not looked at. */
function leavesOf(fields: object, path = ''): string[] {
  const steps = Object.entries(fields);
  if (steps.length === 0) return [path];
  const inner = steps.filter(([step]) => step !== '.');
  const words = (step: string) => step.replace(/^f:/, '.').replace(/^[kv]:(.*)$/, '[$1]');
  return inner.flatMap(([step, more]) => leavesOf(more as object, `${path}${words(step)}`));
}

function fieldAt(object: unknown, path: string): unknown {
  return path
    .split('.')
    .slice(1)
    .reduce((value, step) => (value as Record<string, unknown> | undefined)?.[step], object);
}
