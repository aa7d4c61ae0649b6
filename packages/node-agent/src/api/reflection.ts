/** Server reflection (v1 and v1alpha) for the agent's API and the health service, so that generic clients find both. */
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { FILE_DESCRIPTORS } from '@tombolo/proto/generated/tombolo-v1.ts';
import { healthDefinition } from './health-service.ts';

export function addReflection(server: Server): void {
  const api = FILE_DESCRIPTORS.map((text) => Buffer.from(text, 'base64'));
  const health = healthDefinition['Check']?.requestType.fileDescriptorProtos ?? [];
  // The library takes nothing of a definition but its descriptors, whatever the definition is of.
  const format = 'Protocol Buffer 3 EnumDescriptorProto';
  new ReflectionService({ files: { format, type: {}, fileDescriptorProtos: [...api, ...health] } }).addToServer(server);
}
