// The authorization server dies in the middle of the day, and comes back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../demo/process.mjs';
import { load } from './support/client.mjs';
import { atRest, auditOf } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

let stack;
before(async () => { stack = await startTemporaryStack(); });
after(() => stack?.stop());

test('calls go on while their delegation lives, are then told to retry, and go on again by themselves', async () => {
  const client = inboundToken(stack);
  const calls = load(stack, Array(4).fill(client));
  const answered = (status, since) => until(() => calls.answers.find((answer) => answer.status === status && answer.at > since), `a ${status}`);
  await answered(200, 0);

  process.kill(stack.pids.authorizationServer, 'SIGKILL');
  await stack.stopAuthorizationServer();
  const killed = performance.now();
  const asked = stack.exchanges().length;
  await answered(200, killed);
  await answered(503, killed);

  // With every worker's delegation expired there is nothing but the documented answer.
  await until(() => calls.answers.slice(-40).every(({ status }) => status === 503) && calls.answers.length > 40, 'all refused');
  assert.equal(stack.exchanges().length, asked);

  await stack.startAuthorizationServer();
  const back = performance.now();
  await answered(200, back);
  await until(() => calls.answers.slice(-40).every(({ status }) => status === 200), 'all served');
  const answers = await calls.stop();

  assert.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [200, 503], 'every call is answered, and in no other way');
  const refused = answers.filter(({ status }) => status === 503);
  assert.ok(refused.every(({ headers }) => headers['retry-after'] === '1'));

  const records = await auditOf(stack, client.id, answers.length);
  assert.equal(records.length, answers.length, 'each call left one record');
  const reasons = new Set(records.filter(({ status }) => status === 503).map(({ reason }) => reason));
  assert.deepEqual([...reasons], ['exchange_no_answer']);
  assert.ok(stack.ledgerRequests().every(({ verdict }) => verdict === 'served'));
  assert.equal(stack.ledgerRequests().length, answers.length - refused.length);
  await atRest(stack);
});
