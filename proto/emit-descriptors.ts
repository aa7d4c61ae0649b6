/**
 * Writes the FileDescriptorSet that server reflection gives to generic clients: one descriptor for each `.proto` file,
 * with its name, imports and the field names of the file. (protobufjs' own conversion joins the files of a package and
 * leaves the imports out, which strict clients refuse.)
 */
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { declaredIn, type ParsedProtos, type ProtoFile } from './parse.ts';

const SCALAR_NUMBERS: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sint32: 17,
  sint64: 18,
};
const MESSAGE = 11;
const ENUM = 14;

const TIMESTAMP: ProtoFile = { name: 'google/protobuf/timestamp.proto', package: 'google.protobuf', imports: [] };

/** One encoded FileDescriptorProto for each file, imported ones first. */
export function encodeDescriptors({ snake, files }: ParsedProtos): readonly Uint8Array[] {
  const described = [
    describeFile(TIMESTAMP, [snake.lookupType('google.protobuf.Timestamp')]),
    ...files.map((file) => describeFile(file, declaredIn(snake, file))),
  ];
  return described.map((file) =>
    descriptor.FileDescriptorProto.encode(descriptor.FileDescriptorProto.fromObject(file)).finish(),
  );
}

function describeFile(file: ProtoFile, objects: readonly protobuf.ReflectionObject[]): Record<string, unknown> {
  return {
    name: file.name,
    package: file.package,
    syntax: 'proto3',
    dependency: file.imports,
    messageType: objects.filter((o) => o instanceof protobuf.Type).map(describeMessage),
    enumType: objects.filter((o) => o instanceof protobuf.Enum).map(describeEnum),
    service: objects.filter((o) => o instanceof protobuf.Service).map(describeService),
  };
}

function describeMessage(type: protobuf.Type): Record<string, unknown> {
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => ({
      name: field.name,
      jsonName: protobuf.util.camelCase(field.name),
      number: field.id,
      label: field.repeated ? 3 : 1,
      type:
        field.resolvedType instanceof protobuf.Type
          ? MESSAGE
          : field.resolvedType instanceof protobuf.Enum
            ? ENUM
            : SCALAR_NUMBERS[field.type],
      ...(field.resolvedType ? { typeName: field.resolvedType.fullName } : {}),
      ...(field.partOf ? { oneofIndex: type.oneofsArray.indexOf(field.partOf) } : {}),
    })),
    oneofDecl: type.oneofsArray.map(({ name }) => ({ name })),
  };
}

function describeEnum(type: protobuf.Enum): Record<string, unknown> {
  return { name: type.name, value: Object.entries(type.values).map(([name, number]) => ({ name, number })) };
}

function describeService(service: protobuf.Service): Record<string, unknown> {
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      inputType: method.resolvedRequestType?.fullName,
      outputType: method.resolvedResponseType?.fullName,
      ...(method.responseStream ? { serverStreaming: true } : {}),
    })),
  };
}
