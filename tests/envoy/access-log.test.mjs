// The audit record is there for access logs too, and it is the very same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call, toolCall } from './support/client.mjs';
import { accessLogged, auditOf } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

let stack;
before(async () => { stack = await startTemporaryStack(); });
after(() => stack?.stop());

test('one line in the access log for each record, with the record in it', async () => {
  const { token, id } = inboundToken(stack);
  const bodies = [toolCall('listAccounts'), toolCall('nothingOfTheKind'), 'not json', toolCall('listAccounts')];
  for (const body of bodies) await call(stack, token, body);
  const records = await auditOf(stack, id, bodies.length);
  assert.deepEqual(records.map(({ decision }) => decision), ['allow', 'deny', 'refuse', 'allow']);

  const lines = await accessLogged(stack, records.at(-1).request_id);
  assert.deepEqual(lines.map(({ audit }) => JSON.parse(audit)), records);
  for (const [index, { request_id: requestId, status }] of lines.entries()) {
    assert.equal(requestId, records[index].request_id);
    assert.equal(status, records[index].status);
  }
});
