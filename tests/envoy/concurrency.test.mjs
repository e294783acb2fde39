// Many calls at once, and clients that go away in the middle.
import assert from 'node:assert/strict';
import { connect, constants } from 'node:http2';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, post, streamOn, toolCall } from './support/client.mjs';
import { atRest, auditOf, envoyLog, statistic } from './support/records.mjs';
import { startScriptedStack } from './support/scripted-authorization-server.mjs';
import { inboundToken } from './support/tokens.mjs';

const WORKERS = 2;

let stack;
let scripted;
before(async () => { ({ stack, scripted } = await startScriptedStack({ gateway: { set: { 'exchange.timeout': '5s' } } })); });
after(() => stack?.stop());
afterEach(() => { scripted.script = scripted.passOn; });

test('200 calls at once for one token and tool share one exchange, whichever worker they reach', async () => {
  const [before, { token, id }] = [scripted.asked.length, inboundToken(stack)];
  const held = scripted.hold();
  const calls = Array.from({ length: 200 }, () => call(stack, token));
  await held.asked();
  await until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 200, 'all of them in Envoy');
  for (let worker = 0; worker < WORKERS; worker += 1) {
    assert.ok(await statistic(stack, `worker_${worker}.downstream_cx_active`) > 0, `calls at worker ${worker}`);
  }
  assert.equal(scripted.asked.length, before + 1);
  held.release();
  const answers = await Promise.all(calls);
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  // One more, should a slow machine outlive the delegation.
  assert.ok(scripted.asked.length - before <= 2, `${scripted.asked.length - before} exchanges`);
  const records = await auditOf(stack, id, 200);
  assert.ok(new Set(records.map(({ delegation }) => delegation.token_id)).size <= 2);
});

test('calls of different users and tools at once never share a delegation', async () => {
  const users = ['sarah.connor', 'john.mcclane'].flatMap((name) => Array.from({ length: 10 }, () => {
    const sub = `${name}@orchestrator.lab`;
    return { sub, ...inboundToken(stack, { sub }) };
  }));
  const calls = users.flatMap((user) => [LIST_ACCOUNTS, toolCall('getAccount', { accountId: 'ACC-1001' })].map((body) => ({ user, body })));
  const answers = await Promise.all(calls.map(({ user, body }) => call(stack, user.token, body)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  for (const { sub, id } of users) {
    for (const record of await auditOf(stack, id, 2)) {
      const [seen, ...more] = stack.ledgerRequests().filter(({ claims }) => claims.jti === record.delegation.token_id);
      assert.deepEqual(more, []);
      assert.equal(seen.claims.sub, sub);
      assert.equal(seen.tool, record.tool);
    }
  }
});

// One HTTP/2 connection is one worker: its first stream makes the callout that the others wait for.
test('C09: the client that asked first goes away: those who wait are served all the same', async () => {
  const { token, id } = inboundToken(stack);
  const session = connect(new URL(stack.gatewayUrl).origin);
  const [before, held] = [scripted.asked.length, scripted.hold()];
  const first = streamOn(session, token);
  await held.asked();
  const others = Array.from({ length: 10 }, () => streamOn(session, token));
  await until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 11, 'all of them in Envoy');
  assert.equal(scripted.asked.length, before + 1, 'they wait for the first one\'s exchange');
  first.stream.close(constants.NGHTTP2_CANCEL);
  await auditOf(stack, id); // the first is gone
  held.release();
  const statuses = await Promise.all(others.map(({ status }) => status));
  assert.deepEqual([...new Set(statuses)], [200]);
  session.close();
  await atRest(stack);
});

test('C09: every client goes away: nothing is left behind, and the next is served', async () => {
  const { token, id } = inboundToken(stack);
  const held = scripted.hold();
  const calls = Array.from({ length: 5 }, () => post(stack, token));
  await held.asked();
  await until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === calls.length, 'all of them in Envoy');
  calls.forEach(({ request }) => request.destroy());
  const records = await auditOf(stack, id, calls.length);
  assert.deepEqual(records.map(({ status }) => status), [0, 0, 0, 0, 0], 'nobody was there to be answered');
  const before = stack.ledgerRequests().length;
  held.release();
  await atRest(stack);
  assert.equal(stack.ledgerRequests().length, before);
  assert.equal((await call(stack, token)).status, 200);
});

test('C09: 300 clients that go away at all times leave Envoy well', async () => {
  const [pid, before] = [stack.pids.gateway, stack.ledgerRequests().length];
  scripted.script = async (...request) => {
    await sleep(50);
    await scripted.passOn(...request);
  };
  const tokens = Array.from({ length: 30 }, () => inboundToken(stack));
  for (let round = 0; round < 10; round += 1) {
    const calls = tokens.map(({ token }) => post(stack, token));
    for (const [index, { request }] of calls.entries()) setTimeout(() => request.destroy(), 4 * index);
    await Promise.allSettled(calls.map(({ answer }) => answer));
  }
  await atRest(stack);
  const [{ token }] = tokens;
  for (let i = 0; i < 10; i += 1) assert.equal((await call(stack, token)).status, 200);
  assert.equal(stack.pids.gateway, pid);
  process.kill(pid, 0);
  assert.doesNotMatch(envoyLog(stack), /panicked|\[critical\]|proxy_wasm.*(failed|error)/i);
  assert.ok(stack.ledgerRequests().slice(before).every(({ verdict }) => verdict === 'served'));
});
