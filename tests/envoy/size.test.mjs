// Envoy compiles the whole filter at its start, and each byte of it takes memory in each worker.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../demo/keys.mjs';

const BUDGET = 2_000_000; // bytes; raise it only for what is worth it

test('the filter stays within its size budget', () => {
  const { size } = statSync(join(root, 'dist/deputy.wasm'));
  assert.ok(size <= BUDGET, `dist/deputy.wasm has ${size} bytes, more than ${BUDGET}`);
});
