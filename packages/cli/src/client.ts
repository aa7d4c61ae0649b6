/** The agent's API for the CLI: typed calls with timeouts, failures as `AgentError`. Closing it ends what is open. */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type ApiAddress, formatApiAddress } from '@tombolo/proto/address.ts';
import { agentDefinition, type MethodDefinition } from '@tombolo/proto/definition.ts';
import type * as api from '@tombolo/proto/generated/tombolo-v1.ts';
import { agentError } from './agent-error.ts';

interface Shape {
  readonly request: object;
  readonly response: object;
  readonly stream: boolean;
}

export class AgentClient {
  readonly #address: ApiAddress;
  readonly #timeoutMs: number;
  readonly #client: Client;

  constructor(address: ApiAddress, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#client = new Client(formatApiAddress(address), credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
    });
  }

  getStatus(): Promise<api.GetStatusResponse> {
    return this.#unary(agentDefinition.getStatus, {});
  }

  getService(namespace: string, name: string): Promise<api.GetServiceResponse> {
    return this.#unary(agentDefinition.getService, { namespace, name });
  }

  resolveBackend(request: api.ResolveBackendRequest): Promise<api.ResolveBackendResponse> {
    return this.#unary(agentDefinition.resolveBackend, request);
  }

  listServices(filter: api.ServiceFilter): AsyncGenerator<api.ListServicesResponse> {
    return this.#stream(agentDefinition.listServices, { filter }, 'every');
  }

  listClusters(): AsyncGenerator<api.ListClustersResponse> {
    return this.#stream(agentDefinition.listClusters, {}, 'every');
  }

  listAnnouncedAddresses(
    request: api.ListAnnouncedAddressesRequest,
  ): AsyncGenerator<api.ListAnnouncedAddressesResponse> {
    return this.#stream(agentDefinition.listAnnouncedAddresses, request, 'every');
  }

  listAnnouncers(): Promise<api.ListAnnouncersResponse> {
    return this.#unary(agentDefinition.listAnnouncers, {});
  }

  watchServices(filter: api.ServiceFilter, resumeToken = ''): AsyncGenerator<api.WatchServicesResponse> {
    return this.#stream(agentDefinition.watchServices, { filter, resumeToken }, 'first');
  }

  watchClusters(): AsyncGenerator<api.WatchClustersResponse> {
    return this.#stream(agentDefinition.watchClusters, {}, 'first');
  }

  close(): void {
    this.#client.close();
  }

  #unary<Method extends Shape>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Method>,
    request: Method['request'],
  ): Promise<Method['response']> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#timeoutMs };
      const done = (error: ServiceError | null, response?: Method['response']): void => {
        if (error) reject(this.#failure(error));
        else if (response) resolve(response);
      };
      const [serialize, deserialize] = [requestSerialize, responseDeserialize];
      this.#client.makeUnaryRequest(path, serialize, deserialize, request, new Metadata(), options, done);
    });
  }

  /** The timeout holds for the first message, or for every one. */
  async *#stream<Method extends Shape>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Method>,
    request: Method['request'],
    timed: 'first' | 'every',
  ): AsyncGenerator<Method['response']> {
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    let late = false;
    const giveUp = (): void => {
      late = true;
      call.cancel();
    };
    let timer = setTimeout(giveUp, this.#timeoutMs);
    try {
      for await (const message of call) {
        clearTimeout(timer);
        yield message;
        if (timed === 'every') timer = setTimeout(giveUp, this.#timeoutMs);
      }
    } catch (error) {
      throw this.#failure(late ? { code: status.DEADLINE_EXCEEDED, details: '' } : error);
    } finally {
      clearTimeout(timer);
      call.cancel();
    }
  }

  #failure(error: unknown): unknown {
    const { code, details } = error as Partial<ServiceError>;
    return code === undefined ? error : agentError(this.#address, { code, details: details ?? '' }, this.#timeoutMs);
  }
}
