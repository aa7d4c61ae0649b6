/** Refusals as the Kubernetes API words them: a `Status` object with code, reason, details and causes. */
import type { JsonObject } from './objects.ts';

export interface Cause {
  readonly field: string;
  readonly reason: string;
  readonly message: string;
}

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: JsonObject | undefined;

  constructor(code: number, reason: string, message: string, details?: JsonObject) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): JsonObject {
    const { message, reason, details, code } = this;
    const envelope = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
    return { ...envelope, message, reason, ...(details && { details }), code };
  }
}

/** What an error is about: enough to word it. */
export interface Subject {
  readonly group: string;
  readonly resource: string;
  readonly kind: string;
}

const qualified = ({ group, resource }: Subject) => (group === '' ? resource : `${resource}.${group}`);

export const about = ({ group }: Subject, name: string, kind: string): JsonObject => ({
  name,
  ...(group === '' ? {} : { group }),
  kind,
});

const refusal = (code: number, reason: string, subject: Subject, name: string, why: string) =>
  new ApiError(code, reason, `${qualified(subject)} "${name}" ${why}`, about(subject, name, subject.resource));

export const badRequest = (message: string) => new ApiError(400, 'BadRequest', message);

export const notFound = (subject: Subject, name: string) => refusal(404, 'NotFound', subject, name, 'not found');

/** No such path: kubectl words its own message for it. */
export const noSuchPath = () => new ApiError(404, 'NotFound', 'the server could not find the requested resource');

export const methodNotAllowed = () =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');

export const alreadyExists = (subject: Subject, name: string) =>
  refusal(409, 'AlreadyExists', subject, name, 'already exists');

export function conflict(subject: Subject, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, about(subject, name, subject.resource));
}

export const MODIFIED_MEANWHILE =
  'the object has been modified; please apply your changes to the latest version and try again';

export const forbidden = (subject: Subject, name: string, why: string) =>
  refusal(403, 'Forbidden', subject, name, `is forbidden: ${why}`);

export const expired = (message: string) => new ApiError(410, 'Expired', message);

export const unsupportedMediaType = (message: string) => new ApiError(415, 'UnsupportedMediaType', message);

export function invalid(subject: Subject, name: string, causes: readonly Cause[]): ApiError {
  const worded = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = worded.length === 1 ? worded[0] : `[${worded.join(', ')}]`;
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
  const message = `${kind} "${name}" is invalid: ${list}`;
  return new ApiError(422, 'Invalid', message, { ...about(subject, name, subject.kind), causes });
}

const cause =
  (reason: string, text: string) =>
  (field: string, value: unknown, why = ''): Cause => {
    const shown = value === undefined ? '' : `: ${JSON.stringify(value)}`;
    return { field, reason: `FieldValue${reason}`, message: `${text}${shown}${why === '' ? '' : `: ${why}`}` };
  };

export const invalidValue = cause('Invalid', 'Invalid value');
export const required = (field: string, why = ''): Cause => cause('Required', 'Required value')(field, undefined, why);

export const notSupported = (field: string, value: unknown, supported: readonly string[]): Cause => {
  const all = supported.map((one) => `"${one}"`).join(', ');
  return cause('NotSupported', 'Unsupported value')(field, value, `supported values: ${all}`);
};
