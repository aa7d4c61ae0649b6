/** Server reflection (v1 and v1alpha) for the agent's API and the health service, so that generic clients find both. */
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { FILE_DESCRIPTORS } from '@tombolo/proto/generated/tombolo-v1.ts';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { healthDefinition } from './health-service.ts';

export function addReflection(server: Server): void {
  const api = FILE_DESCRIPTORS.map((text) => Buffer.from(text, 'base64'));
  const health = (healthDefinition['Check']?.requestType.fileDescriptorProtos ?? []).map(nameMapEntries);
  // The library takes nothing of a definition but its descriptors, whatever the definition is of.
  const format = 'Protocol Buffer 3 EnumDescriptorProto';
  new ReflectionService({ files: { format, type: {}, fileDescriptorProtos: [...api, ...health] } }).addToServer(server);
}

interface MessageDescriptor {
  name: string;
  readonly field: { readonly name: string; typeName: string }[];
  readonly nestedType: { name: string; readonly options?: { readonly mapEntry?: boolean } }[];
}

/**
 * protobufjs gives the entries of a map field `statuses` the name `Statuses`. The language demands `StatusesEntry`, and
 * clients in Go, C++ and Python refuse the whole file otherwise.
 */
function nameMapEntries(bytes: Uint8Array): Buffer {
  const { FileDescriptorProto } = descriptor;
  const file = FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes), { arrays: true });
  const messages: MessageDescriptor[] = file['messageType'];
  for (const { field, nestedType } of messages) {
    for (const owner of field) {
      const entry = nestedType.find(({ name, options }) => options?.mapEntry && name === owner.typeName);
      if (!entry) continue;
      entry.name = `${protobuf.util.ucFirst(protobuf.util.camelCase(owner.name))}Entry`;
      owner.typeName = entry.name;
    }
  }
  return Buffer.from(FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish());
}
