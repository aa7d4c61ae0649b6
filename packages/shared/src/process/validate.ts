/** Inner checks that all tests run with and production does not: MESH_VALIDATE=1. */
const VALIDATE = process.env['MESH_VALIDATE'] === '1';

/** Whoever changes a published value throws at the place where it happens. */
export function freezeInTests<T>(value: T): T {
  if (VALIDATE) deepFreeze(value);
  return value;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
}
