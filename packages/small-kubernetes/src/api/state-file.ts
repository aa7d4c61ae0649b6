/** All objects in one JSON file, so that a lab can be stopped and started. Written whole, then moved in place. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { customDefinitions, isEstablished } from './kinds/custom-resource.ts';
import { tables } from './kinds/typed.ts';
import type { KubeObject } from './objects.ts';
import type { Operations } from './operations.ts';
import type { ServiceAddresses } from './service-addresses.ts';
import type { Store } from './store.ts';

interface State {
  readonly revision: number;
  readonly objects: readonly (readonly [table: string, object: KubeObject])[];
}

/** A missing file is an empty cluster. */
export async function loadState(
  path: string,
  { store, registry }: Operations,
  addresses: ServiceAddresses,
): Promise<void> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new Error(`Cannot read the state file ${path}`, { cause: error });
  }
  const { revision, objects } = parse(path, text);
  store.restore(revision, objects);
  for (const [table, object] of store.entries()) {
    if (table === tables.services) addresses.observe({ type: 'ADDED', revision, table, object, previous: undefined });
    if (table === tables.customResources && isEstablished(object)) {
      for (const definition of customDefinitions(object)) registry.add(definition);
    }
  }
}

function parse(path: string, text: string): State {
  try {
    return JSON.parse(text) as State;
  } catch (cause) {
    throw new Error(`Cannot read the state file ${path}: expected JSON that this server wrote`, { cause });
  }
}

export async function saveState(path: string, store: Store): Promise<void> {
  const state: State = { revision: store.revision, objects: [...store.entries()] };
  await writeFile(`${path}.new`, JSON.stringify(state));
  await rename(`${path}.new`, path);
}
