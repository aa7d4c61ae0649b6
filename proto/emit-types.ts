/**
 * Writes TypeScript for messages, enums and services: readonly interfaces with the `.proto` comments, string unions for
 * enums, and for a message with a oneof a union discriminated by the oneof's name. Values are as protobufjs gives them
 * with `defaults`, `oneofs`, `enums: String` and `longs: Number`: every field present, absent messages null.
 */
import protobuf from 'protobufjs';

const SCALARS: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  bytes: 'Uint8Array',
  ...Object.fromEntries(
    ['double', 'float', ...['int', 'uint', 'sint'].flatMap((t) => [`${t}32`, `${t}64`])].map((t) => [t, 'number']),
  ),
};

export function emitObject(object: protobuf.ReflectionObject): string {
  if (object instanceof protobuf.Enum) return emitEnum(object);
  if (object instanceof protobuf.Type) return emitMessage(object);
  if (object instanceof protobuf.Service) return emitService(object);
  throw new Error(`Cannot generate ${object.fullName}: expected a message, an enum or a service`);
}

export function docComment(text: string | null | undefined, indent = ''): string {
  if (!text) return '';
  const lines = text.split('\n').map((line) => line.trimEnd());
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`;
}

function emitEnum(type: protobuf.Enum): string {
  const values = Object.keys(type.values).map((name) => `${docComment(type.comments[name], '  ')}  | '${name}'`);
  return `${docComment(type.comment)}export type ${type.name} =\n${values.join('\n')};\n`;
}

function emitMessage(type: protobuf.Type): string {
  if (type.nestedArray.length > 0) throw new Error(`Cannot generate ${type.name}: nested types are not supported`);
  const [oneof, ...more] = type.oneofsArray;
  if (more.length > 0) throw new Error(`Cannot generate ${type.name}: more than one oneof is not supported`);
  const fields = type.fieldsArray.filter((field) => !field.partOf).map(emitField);
  const name = oneof ? `${type.name}Fields` : type.name;
  const body = fields.length > 0 ? `{\n${fields.join('')}}` : '{}';
  const base = `${oneof ? '' : `${docComment(type.comment)}export `}interface ${name} ${body}\n`;
  return oneof ? base + emitOneof(type, oneof, name) : base;
}

function emitOneof(type: protobuf.Type, oneof: protobuf.OneOf, base: string): string {
  const members = oneof.fieldsArray.map(
    (field) =>
      `${docComment(field.comment, '  ')}  | { readonly ${oneof.name}: '${field.name}'; readonly ${field.name}: ${valueType(field)} }`,
  );
  const none = `  /** None, or one that this version does not know. */\n  | { readonly ${oneof.name}?: never }`;
  return `\n${docComment(type.comment)}export type ${type.name} = ${base} & (\n${[...members, none].join('\n')}\n);\n`;
}

function emitField(field: protobuf.Field): string {
  const type = valueType(field);
  const whole = field.repeated ? `readonly ${type}[]` : isMessage(field) ? `${type} | null` : type;
  return `${docComment(field.comment, '  ')}  readonly ${field.name}: ${whole};\n`;
}

const isMessage = (field: protobuf.Field): boolean => field.resolvedType instanceof protobuf.Type;

function valueType(field: protobuf.Field): string {
  if (field instanceof protobuf.MapField) throw new Error(`Cannot generate ${field.fullName}: maps are not supported`);
  if (field.resolvedType?.fullName === '.google.protobuf.Timestamp') return 'Timestamp';
  const type = field.resolvedType?.name ?? SCALARS[field.type];
  if (type === undefined) throw new Error(`Cannot generate ${field.fullName}: type ${field.type} is not supported`);
  return type;
}

function emitService(service: protobuf.Service): string {
  const methods = service.methodsArray.map((method) => {
    if (method.requestStream) throw new Error(`Cannot generate ${method.fullName}: request streams are not supported`);
    const types = `request: ${method.requestType}; response: ${method.responseType}`;
    const name = protobuf.util.lcFirst(method.name);
    return `${docComment(method.comment, '  ')}  ${name}: { ${types}; stream: ${method.responseStream === true} };\n`;
  });
  return `${docComment(service.comment)}export interface ${service.name}Methods {\n${methods.join('')}}\n`;
}
