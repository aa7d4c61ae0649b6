/**
 * The API as grpc-js wants it: paths and codecs of each method, typed by the generated code. Built from the generated
 * schema by protobufjs, so nothing reads `.proto` files at run time. Shared by the server and its clients.
 */
import protobuf from 'protobufjs';
import { type AgentMethods, SCHEMA } from './generated/tombolo-v1.ts';

interface MethodShape {
  readonly request: object;
  readonly response: object;
  readonly stream: boolean;
}

export interface MethodDefinition<Method extends MethodShape = MethodShape> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: Method['stream'];
  requestSerialize(value: Method['request']): Buffer;
  requestDeserialize(bytes: Buffer): Method['request'];
  responseSerialize(value: Method['response']): Buffer;
  responseDeserialize(bytes: Buffer): Method['response'];
}

export type AgentDefinition = { readonly [Name in keyof AgentMethods]: MethodDefinition<AgentMethods[Name]> };

export const AGENT_SERVICE = 'tombolo.v1.Agent';

const schema: protobuf.INamespace = JSON.parse(SCHEMA);

export const agentDefinition: AgentDefinition = defineMethods(
  protobuf.Root.fromJSON(schema).resolveAll().root.lookupService(AGENT_SERVICE),
);

function defineMethods(service: protobuf.Service): AgentDefinition {
  const methods = service.methodsArray.map((method) => {
    const { resolvedRequestType: request, resolvedResponseType: response } = method;
    if (!request || !response) throw new Error(`Cannot use ${method.fullName}: its types are not in the schema`);
    const definition: MethodDefinition = {
      path: `/${AGENT_SERVICE}/${method.name}`,
      requestStream: false,
      responseStream: method.responseStream === true,
      requestSerialize: (value) => encode(request, value),
      requestDeserialize: (bytes) => decode(request, bytes),
      responseSerialize: (value) => encode(response, value),
      responseDeserialize: (bytes) => decode(response, bytes),
    };
    return [protobuf.util.lcFirst(method.name), definition];
  });
  return Object.fromEntries(methods) as AgentDefinition;
}

function encode(type: protobuf.Type, value: object): Buffer {
  const bytes = type.encode(type.fromObject(value)).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const decode = (type: protobuf.Type, bytes: Buffer): object =>
  type.toObject(type.decode(bytes), { defaults: true, oneofs: true, enums: String, longs: Number });
