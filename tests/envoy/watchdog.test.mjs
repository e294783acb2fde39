// Envoy is not told to hold headers while the body comes: the filter never sees a body, and says so.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { call } from './support/client.mjs';
import { atRest, auditOf } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

const DECISION_TIME = 3000;

let stack;
before(async () => {
  stack = await startTemporaryStack({ gateway: {
    set: { 'limits.decision_time': `${DECISION_TIME}ms`, 'exchange.timeout': '2s' },
    edit: { 'filter.yaml': (text) => text.replace(/^ *allow_on_headers_stop_iteration: true$/m, '') },
  } });
});
after(() => stack?.stop());

test('a call is answered, the record names the option, and nothing goes up', async () => {
  const { token, id } = inboundToken(stack);
  const answers = await Promise.all(Array.from({ length: 5 }, () => call(stack, token)));
  for (const { status, headers, message, ms } of answers) {
    assert.equal(status, 503);
    assert.equal(headers['retry-after'], '1');
    assert.equal(message.error.code, -32603);
    assert.ok(ms >= DECISION_TIME, `${ms} ms`);
  }
  for (const { reason, decision, detail } of await auditOf(stack, id, 5)) {
    assert.deepEqual({ reason, decision }, { reason: 'undecided', decision: 'refuse' });
    assert.match(detail, /allow_on_headers_stop_iteration/);
  }
  assert.deepEqual(stack.ledgerRequests(), []);
  assert.deepEqual(stack.exchanges(), []);
  await atRest(stack);
});

test('what has no body is decided all the same', async () => {
  const answer = await fetch(stack.gatewayUrl, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  assert.equal(answer.status, 401);
  assert.equal((await fetch(new URL('/.well-known/oauth-protected-resource/mcp', stack.gatewayUrl))).status, 200);
});
