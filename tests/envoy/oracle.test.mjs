// For every input: either it is refused, or the server executes exactly what was authorised. `make oracle` asks more.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { consult, SERVERS } from '../oracle/oracle.mjs';

const COUNT = 250;
const SEED = 20261121;

describe('what servers on the official SDKs execute', () => {
  for (const name of Object.keys(SERVERS)) {
    test(`${name}: ${COUNT} inputs, and no disagreement`, async () => {
      const { disagreements, executions, statuses } = await consult(name, COUNT, SEED);
      assert.deepEqual(disagreements, []);
      assert.ok(executions.length > COUNT / 10, `some are still sound: ${JSON.stringify(statuses)}`);
      assert.deepEqual(Object.keys(statuses).filter((status) => Number(status) >= 500 && status !== '501'), [], JSON.stringify(statuses));
    });
  }

  test('without the gateway, the judge finds what it is there to find', async () => {
    const { disagreements } = await consult('ts-1-express', COUNT, SEED, { direct: true });
    // Express reads UTF-7, UTF-16, gzip and a BOM, which JSON.parse does not.
    const misread = disagreements.filter(({ problems, execution }) => execution.tool === 'secret_tool' && problems.includes('not the tool of the body'));
    assert.ok(misread.length > 0);
  });
});
