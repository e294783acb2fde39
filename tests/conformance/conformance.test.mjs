// The official suite finds no difference between a server alone and the same server through the filter.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

test('every scenario of the MCP conformance suites passes through the filter as it does without', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL('run.mjs', import.meta.url))]);
  const runs = [...stdout.matchAll(/(\d+) scenarios, (\d+) pass through the filter, (\d+) differ/g)];
  assert.equal(runs.length, 3, stdout);
  for (const [, scenarios, passed, different] of runs) {
    assert.ok(Number(scenarios) >= 30, stdout);
    assert.deepEqual([passed, different], [scenarios, '0'], stdout);
  }
});
