/** What clients that know nothing of Tombolo can do: find the API by reflection, call it, and probe health. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Client, credentials } from '@grpc/grpc-js';
import { sampleWeb } from '@tombolo/node-agent/api/fake-source.fixture.ts';
import { service as health } from 'grpc-health-check';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { ApiFixture } from './fixture.ts';

interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly { readonly name: string }[];
  readonly nestedType: readonly { readonly name: string }[];
}

interface FileDescriptor {
  readonly name: string;
  readonly dependency: readonly string[];
  readonly messageType: readonly MessageDescriptor[];
  readonly service: readonly { readonly name: string; readonly method: readonly { readonly name: string }[] }[];
}

interface ReflectionAnswer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly errorResponse?: { readonly errorCode: number };
}

class ReflectionClient {
  readonly #path: string;
  readonly #client: Client;
  readonly #root: protobuf.Root;
  readonly #package: string;

  constructor(address: string, version: 'v1' | 'v1alpha') {
    const require = createRequire(import.meta.url);
    const file = `@grpc/reflection/build/proto/grpc/reflection/${version}/reflection.proto`;
    this.#root = protobuf.loadSync(require.resolve(file));
    this.#package = `grpc.reflection.${version}`;
    this.#path = `/${this.#package}.ServerReflection/ServerReflectionInfo`;
    this.#client = new Client(address, credentials.createInsecure());
  }

  async ask(question: object): Promise<ReflectionAnswer> {
    const request = this.#root.lookupType(`${this.#package}.ServerReflectionRequest`);
    const response = this.#root.lookupType(`${this.#package}.ServerReflectionResponse`);
    const call = this.#client.makeBidiStreamRequest<object, ReflectionAnswer>(
      this.#path,
      (value) => Buffer.from(request.encode(request.fromObject(value)).finish()),
      (bytes) => response.toObject(response.decode(bytes)),
    );
    call.end(question);
    for await (const answer of call as AsyncIterable<ReflectionAnswer>) return answer;
    throw new Error('The server answered nothing');
  }

  async files(symbol: string): Promise<readonly FileDescriptor[]> {
    const { fileDescriptorResponse } = await this.ask({ fileContainingSymbol: symbol });
    const files = fileDescriptorResponse?.fileDescriptorProto ?? [];
    const { FileDescriptorProto } = descriptor;
    return files.map((bytes) =>
      FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes), { arrays: true }),
    ) as never;
  }

  close(): void {
    this.#client.close();
  }
}

describe('server reflection', () => {
  let api: ApiFixture;
  before(async () => {
    api = await ApiFixture.create();
    await api.serve();
  });
  after(() => api.close());

  for (const version of ['v1', 'v1alpha'] as const) {
    it(`${version} lists the services and describes them`, async () => {
      const client = new ReflectionClient(api.socketAddress, version);
      try {
        const { listServicesResponse } = await client.ask({ listServices: '*' });
        const names = listServicesResponse?.service.map(({ name }) => name);
        assert.deepEqual(names, ['tombolo.v1.Agent', 'grpc.health.v1.Health']);
        const files = await client.files('tombolo.v1.Agent');
        const [agent] = files;
        assert.equal(agent?.name, 'tombolo/v1/agent.proto');
        assert.ok(agent.service[0]?.method.some(({ name }) => name === 'WatchServices'));
        const known = new Set(files.map(({ name }) => name));
        for (const { name, dependency } of files) {
          for (const imported of dependency) assert.ok(known.has(imported), `${name} needs ${imported}`);
        }
        assert.ok(known.has('google/protobuf/timestamp.proto'));
        const status = agent.messageType.find(({ name }) => name === 'GetStatusResponse');
        assert.ok(
          status?.field.some(({ name }) => name === 'cluster_id'),
          'fields have the names of the .proto file',
        );
        const [healthFile, ...others] = await client.files('grpc.health.v1.Health');
        assert.equal(others.length, 0);
        // Strict clients refuse a file whose map entries have other names.
        const list = healthFile?.messageType.find(({ name }) => name === 'HealthListResponse');
        assert.deepEqual(
          list?.nestedType.map(({ name }) => name),
          ['StatusesEntry'],
        );
        assert.equal((await client.ask({ fileContainingSymbol: 'no.such' })).errorResponse?.errorCode, 5);
      } finally {
        client.close();
      }
    });
  }

  it('is enough to call a method and read its answer', async () => {
    api.source.set(sampleWeb());
    const reflection = new ReflectionClient(api.socketAddress, 'v1');
    const { fileDescriptorResponse } = await reflection.ask({ fileContainingSymbol: 'tombolo.v1.Agent' });
    const file = (fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) =>
      descriptor.FileDescriptorProto.decode(bytes),
    );
    const set = descriptor.FileDescriptorSet.encode(descriptor.FileDescriptorSet.create({ file })).finish();
    // protobufjs adds this, and does not declare it.
    const root = (protobuf.Root as unknown as { fromDescriptor(bytes: Uint8Array): protobuf.Root }).fromDescriptor(set);
    const request = root.lookupType('tombolo.v1.GetServiceRequest');
    const response = root.lookupType('tombolo.v1.GetServiceResponse');
    const client = new Client(api.socketAddress, credentials.createInsecure());
    const answer = await new Promise<object>((resolve, reject) => {
      client.makeUnaryRequest<object, object>(
        '/tombolo.v1.Agent/GetService',
        (value) => Buffer.from(request.encode(request.create(value)).finish()),
        (bytes) => response.toObject(response.decode(bytes), { enums: String, longs: Number }),
        { namespace: 'default', name: 'web' },
        (error, value) => (value ? resolve(value) : reject(error)),
      );
    });
    assert.equal(Reflect.get(Reflect.get(answer, 'service'), 'selected_count'), 2);
    client.close();
    reflection.close();
  });
});

describe('grpc.health.v1', () => {
  let api: ApiFixture;
  let client: Client;
  before(async () => {
    api = await ApiFixture.create();
    const { address } = await api.serve({ address: '127.0.0.1:0' });
    client = new Client(address, credentials.createInsecure());
  });
  after(() => {
    client.close();
    return api.close();
  });

  type Answer = { readonly status: string };
  const method = (name: string) => {
    const found = health[name];
    assert.ok(found);
    const { path, requestSerialize, responseDeserialize } = found;
    return { path, requestSerialize, responseDeserialize: (bytes: Buffer) => responseDeserialize(bytes) as Answer };
  };
  const check = (service: string): Promise<string> => {
    const { path, requestSerialize, responseDeserialize } = method('Check');
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest<object, Answer>(
        path,
        requestSerialize,
        responseDeserialize,
        { service },
        (error, answer) => (answer ? resolve(answer.status) : reject(error)),
      );
    });
  };
  const setReady = (ready: boolean): void => {
    const parts = new Map([['kubernetes', { kind: ready ? 'ok' : 'starting' } as const]]);
    api.source.agent = { ...api.source.agent, parts };
  };

  it('is SERVING when all parts have started; liveness before that', async () => {
    setReady(false);
    for (const name of ['', 'tombolo.v1.Agent', 'readiness']) assert.equal(await check(name), 'NOT_SERVING');
    assert.equal(await check('liveness'), 'SERVING');
    setReady(true);
    for (const name of ['', 'tombolo.v1.Agent', 'readiness']) assert.equal(await check(name), 'SERVING');
    await assert.rejects(check('other'), { code: 5 });
  });

  it('tells watchers when it changes, and lets them go on shutdown', async () => {
    setReady(false);
    const { path, requestSerialize, responseDeserialize } = method('Watch');
    const call = client.makeServerStreamRequest<object, Answer>(path, requestSerialize, responseDeserialize, {
      service: '',
    });
    const answers = (call as AsyncIterable<Answer>)[Symbol.asyncIterator]();
    assert.deepEqual((await answers.next()).value, { status: 'NOT_SERVING' });
    setReady(true);
    assert.deepEqual((await answers.next()).value, { status: 'SERVING' });
    const ended = assert.rejects(answers.next(), { code: 14 });
    await api.close();
    await ended;
  });
});
