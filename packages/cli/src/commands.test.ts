import assert from 'node:assert/strict';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { type Agent, type Output, showService, showServices, watchServices } from './commands.ts';
import { REMOTE_SERVICE, SAMPLE_SERVICE } from './samples.fixture.ts';

const [group] = SAMPLE_SERVICE.groups;
assert.ok(group && group.backends.length > 1);

/** The sample as an agent sends what is too large for one message. */
const PARTS: readonly api.Service[] = [
  { ...SAMPLE_SERVICE, groups: [{ ...group, backends: group.backends.slice(0, 1) }], moreBackends: true },
  { ...SAMPLE_SERVICE, groups: [{ ...group, backends: group.backends.slice(1) }], unmatchedBackends: [] },
].map((part, at) => ({ ...part, unmatchedBackends: at === 0 ? SAMPLE_SERVICE.unmatchedBackends : [] }));

async function* sent<T>(...messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}

const notAsked = (): never => {
  throw new Error('expected not to be asked');
};

const agent = (answers: Partial<Agent>): Agent => ({
  getStatus: notAsked,
  getService: notAsked,
  resolveBackend: notAsked,
  listServices: notAsked,
  listClusters: notAsked,
  listAnnouncedAddresses: notAsked,
  listAnnouncers: notAsked,
  watchServices: notAsked,
  watchClusters: notAsked,
  ...answers,
});

/** All that a command writes. */
async function written(command: (output: Output) => Promise<void>, format: Output['format']): Promise<string> {
  let text = '';
  await command({
    format,
    paint: (_, plain) => plain,
    now: () => 0,
    write: async (more) => {
      text += more;
    },
  });
  return text;
}

const NAME = { namespace: SAMPLE_SERVICE.namespace, name: SAMPLE_SERVICE.name };
const FILTER = { ...NAME, globalOnly: false };
const addresses = group.backends.map(({ address }) => address);

describe('a Service that comes in several messages', () => {
  const client = agent({
    getService: async () => ({ revision: 7, service: PARTS[0] ?? SAMPLE_SERVICE }),
    listServices: (filter) => {
      assert.deepEqual(filter, FILTER);
      return sent(...PARTS.map((part) => ({ revision: 8, services: [part] })), { revision: 8, services: [] });
    },
    watchServices: () =>
      sent<api.WatchServicesResponse>(
        { revision: 8, event: 'snapshotBegin', snapshotBegin: {} },
        ...PARTS.map((service) => ({ revision: 8, event: 'service' as const, service })),
        { revision: 9, event: 'service', service: REMOTE_SERVICE },
      ),
  });

  for (const format of ['table', 'json'] as const) {
    it(`is shown whole by \`tombolo service\`, as ${format}`, async () => {
      const text = await written((output) => showService(client, output, NAME), format);
      for (const address of addresses) assert.ok(text.includes(address), `${address} is missing: ${text}`);
    });
  }

  it('is one Service in `tombolo services`', async () => {
    const text = await written((output) => showServices(client, output, FILTER), 'json');
    const { revision, services } = JSON.parse(text);
    assert.equal(revision, 8);
    assert.deepEqual(
      services.map((each: { groups: { backends: unknown[] }[] }) => each.groups[0]?.backends.length),
      [addresses.length],
    );
  });

  it('is one line of `tombolo watch`', async () => {
    const text = await written((output) => watchServices(client, output, FILTER), 'json');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ event, service }) => [event, service?.name]),
      [
        ['snapshotBegin', undefined],
        ['service', SAMPLE_SERVICE.name],
        ['service', REMOTE_SERVICE.name],
      ],
    );
  });

  it('is asked for once where one message has it all', async () => {
    const whole = agent({ getService: async () => ({ revision: 7, service: SAMPLE_SERVICE }) });
    const { revision, service } = JSON.parse(await written((output) => showService(whole, output, NAME), 'json'));
    assert.deepEqual([revision, service.name], [7, SAMPLE_SERVICE.name]);
  });
});
