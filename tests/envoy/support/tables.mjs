// Tests by tables: one for each row, or many cases under one.
import assert from 'node:assert/strict';
import { test } from 'node:test';

/** A test for each row of an attack table, named by it. */
export const rowsOf = (table) => (id, check) => {
  assert.ok(table[id], `${id} is not in the table`);
  test(`${id}: ${table[id]}`, check);
};

/** Several cases under one test, all run, the failures together. A case that is an array begins with its name. */
export async function each(cases, check) {
  const failures = [];
  for (const one of cases) await attempt(one, check, failures);
  assert.deepEqual(failures, []);
}

/** The same, all at once: for those that wait for a connection to be closed. */
export async function eachAtOnce(cases, check) {
  const failures = [];
  await Promise.all(cases.map((one) => attempt(one, check, failures)));
  assert.deepEqual(failures, []);
}

async function attempt(one, check, failures) {
  try {
    await check(one);
  } catch (error) {
    failures.push(`${JSON.stringify(Array.isArray(one) ? one[0] : one)}: ${error.message}`);
  }
}
