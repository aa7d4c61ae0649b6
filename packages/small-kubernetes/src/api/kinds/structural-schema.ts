/**
 * The part of a structural OpenAPI schema that catches typing errors in custom resources: types, required fields,
 * enums, bounds, patterns. Defaults, pruning of unknown fields and CEL rules are left out.
 */
import { type Cause, invalidValue, notSupported, required } from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../objects.ts';

export function validateBySchema(object: JsonObject, schema: JsonObject): Cause[] {
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  const { metadata: _, apiVersion: __, kind: ___, ...own } = properties;
  return check(object, { ...schema, properties: own }, '');
}

function check(value: unknown, schema: JsonObject, path: string): Cause[] {
  if (value === null && schema['nullable'] === true) return [];
  const type = schema['x-kubernetes-int-or-string'] === true ? 'int-or-string' : schema['type'];
  const field = path || '<root>';
  if (typeof type === 'string' && !isOfType(value, type)) {
    return [invalidValue(field, value, `${field} in body must be of type ${type}`)];
  }
  return [
    ...checkScalar(value, schema, field),
    ...checkItems(value, schema, path),
    ...checkFields(value, schema, path),
  ];
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'object':
      return isJsonObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'int-or-string':
      return Number.isInteger(value) || typeof value === 'string';
    default:
      return typeof value === type;
  }
}

function checkScalar(value: unknown, schema: JsonObject, field: string): Cause[] {
  const causes: Cause[] = [];
  const allowed = schema['enum'];
  if (Array.isArray(allowed) && !allowed.includes(value)) causes.push(notSupported(field, value, allowed.map(String)));
  if (typeof value === 'number') {
    const { minimum, maximum } = schema;
    if (typeof minimum === 'number' && value < minimum) {
      causes.push(invalidValue(field, value, `${field} in body should be greater than or equal to ${minimum}`));
    }
    if (typeof maximum === 'number' && value > maximum) {
      causes.push(invalidValue(field, value, `${field} in body should be less than or equal to ${maximum}`));
    }
  }
  if (typeof value === 'string') {
    const { pattern, minLength, maxLength } = schema;
    if (typeof pattern === 'string' && !new RegExp(pattern).test(value)) {
      causes.push(invalidValue(field, value, `${field} in body should match '${pattern}'`));
    }
    if (typeof minLength === 'number' && value.length < minLength) {
      causes.push(invalidValue(field, value, `${field} in body should be at least ${minLength} chars long`));
    }
    if (typeof maxLength === 'number' && value.length > maxLength) {
      causes.push(invalidValue(field, value, `${field} in body should be at most ${maxLength} chars long`));
    }
  }
  return causes;
}

function checkItems(value: unknown, { items, minItems, maxItems }: JsonObject, path: string): Cause[] {
  if (!Array.isArray(value)) return [];
  const causes = isJsonObject(items) ? value.flatMap((item, at) => check(item, items, `${path}[${at}]`)) : [];
  if (typeof minItems === 'number' && value.length < minItems) {
    causes.push(invalidValue(path, value.length, `${path} in body should have at least ${minItems} items`));
  }
  if (typeof maxItems === 'number' && value.length > maxItems) {
    causes.push(invalidValue(path, value.length, `${path} in body should have at most ${maxItems} items`));
  }
  return causes;
}

function checkFields(value: unknown, schema: JsonObject, path: string): Cause[] {
  if (!isJsonObject(value)) return [];
  const { properties, additionalProperties } = schema;
  const known = isJsonObject(properties) ? properties : {};
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  const needed: unknown[] = Array.isArray(schema['required']) ? schema['required'] : [];
  const missing = needed
    .filter((name) => value[String(name)] === undefined)
    .map((name) => required(below(String(name))));
  const wrong = Object.entries(value).flatMap(([name, inner]) => {
    const rule = known[name] ?? additionalProperties;
    return isJsonObject(rule) ? check(inner, rule, below(name)) : [];
  });
  return [...missing, ...wrong];
}
