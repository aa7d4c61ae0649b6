/**
 * OpenAPI version 2 without schemas, so that an old kubectl skips its client-side validation. The PATCH operations name
 * their query parameters, which is where kubectl looks before it tries a server-side dry run.
 */
import type { JsonObject } from './objects.ts';
import { INFO, urlOf } from './openapi-v3.ts';
import type { Registry, ResourceDefinition } from './resource.ts';

const PARAMETERS = ['dryRun', 'fieldValidation'];
const GVK = 'x-kubernetes-group-version-kind';

const kindOf = ({ group, version, kind }: ResourceDefinition) => ({ group, version, kind });

export function openApiV2(registry: Registry): JsonObject {
  const parameters = PARAMETERS.map((name) => ({ name, in: 'query', type: 'string' }));
  const paths = registry.all.map(
    (d) => [urlOf(d), { patch: { [GVK]: kindOf(d), parameters, responses: {} } }] as const,
  );
  return { swagger: '2.0', info: INFO, paths: Object.fromEntries(paths), definitions: {} };
}

/** The same as a protobuf message, by the field numbers of gnostic's `openapi.v2`. */
export function openApiV2Protobuf(registry: Registry): Buffer {
  const info = message(field(1, INFO.title), field(2, INFO.version));
  const paths = message(...registry.all.map((d) => field(2, message(field(1, urlOf(d)), field(2, pathItem(d))))));
  return message(field(1, '2.0'), field(2, info), field(8, paths));
}

/** PathItem.patch = 8; Operation.parameters = 8, .vendor_extension = 13. */
function pathItem(definition: ResourceDefinition): Buffer {
  // Parameter, not a reference = 1; not in the body = 2; in the query = 3; its name = 4.
  const parameters = PARAMETERS.map((name) =>
    field(8, message(field(1, message(field(2, message(field(3, message(field(4, name))))))))),
  );
  // NamedAny: name = 1, value = 2; Any: yaml = 2. JSON is YAML.
  const extension = message(field(1, GVK), field(2, message(field(2, JSON.stringify(kindOf(definition))))));
  return message(field(8, message(...parameters, field(13, extension))));
}

const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields);

function field(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
