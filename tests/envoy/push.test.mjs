// A new configuration is pushed to a gateway at work.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { constants, connect } from 'node:http2';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { ensureKeys, readJson, root, signingKey, writeAtomically } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call, load, streamOn, toolCall } from './support/client.mjs';
import { atRest, auditOf, envoyLog, statistic } from './support/records.mjs';
import { startScriptedStack } from './support/scripted-authorization-server.mjs';
import { inboundToken } from './support/tokens.mjs';

const GET_TRANSACTIONS = toolCall('getTransactions', { accountId: 'ACC-1001' });
const LIST = 'ledger:ListTransactions';
const VIEW = 'ledger:ViewTransactions';

describe('a push', () => {
  let stack;
  let scripted;
  before(async () => { ({ stack, scripted } = await startScriptedStack({ gateway: { set: { 'exchange.timeout': '5s', 'limits.decision_time': '8s' } } })); });
  after(() => stack?.stop());
  afterEach(() => { scripted.script = scripted.passOn; });

  /** Pushes a policy under which getTransactions is delegated as `scope`. */
  function pushScope(scope) {
    const policies = join(stack.state, `policies-${scope.slice('ledger:'.length)}`);
    cpSync(join(root, 'policies'), policies, { recursive: true });
    const file = join(policies, 'enterprise-ledger.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(LIST, scope));
    return stack.reconfigure({ set: { policies } });
  }

  const scopeOf = async ({ token, id }, count) => {
    assert.equal((await call(stack, token, GET_TRANSACTIONS)).status, 200);
    return (await auditOf(stack, id, count)).at(-1).delegation.scope;
  };

  test('C05: takes effect on the next request, for a caller who is known too', async () => {
    const client = inboundToken(stack);
    assert.equal(await scopeOf(client, 1), LIST);
    assert.equal(await pushScope(VIEW), 'accepted');
    // Each worker takes it on its own, a moment apart.
    let count = 1;
    await until(async () => await scopeOf(client, count += 1) === VIEW, 'the new policy');
    assert.equal(await pushScope(LIST), 'accepted');
    await until(async () => await scopeOf(client, count += 1) === LIST, 'the old policy');
  });

  test('under load fails no request', async () => {
    const clients = Array.from({ length: 4 }, () => inboundToken(stack));
    const calls = load(stack, clients, GET_TRANSACTIONS);
    for (const scope of [VIEW, LIST, VIEW, LIST, VIEW, LIST]) {
      const seen = calls.answers.length;
      assert.equal(await pushScope(scope), 'accepted');
      await until(() => calls.answers.length >= seen + 20, 'calls under the new policy');
    }
    const answers = await calls.stop();
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const records = (await Promise.all(clients.map(({ id }) => auditOf(stack, id)))).flat();
    assert.deepEqual([...new Set(records.map(({ delegation }) => delegation.scope))].sort(), [LIST, VIEW]);
    assert.ok(stack.ledgerRequests().every(({ verdict }) => verdict === 'served'));
  });

  test('while an exchange is under way: the request ends under the old policy', async () => {
    const client = inboundToken(stack);
    const held = scripted.hold();
    const calls = Array.from({ length: 6 }, () => call(stack, client.token, GET_TRANSACTIONS));
    await held.asked();
    assert.equal(await pushScope(VIEW), 'accepted');
    held.release();
    assert.deepEqual([...new Set((await Promise.all(calls)).map(({ status }) => status))], [200]);
    assert.deepEqual((await auditOf(stack, client.id, 6)).map(({ delegation }) => delegation.scope).includes(LIST), true);
    assert.equal(await pushScope(LIST), 'accepted');
    await atRest(stack);
  });

  test('while an exchange is never answered: the request is answered all the same', async () => {
    const { token } = inboundToken(stack);
    const before = scripted.asked.length;
    scripted.script = () => {};
    const answer = call(stack, token, GET_TRANSACTIONS);
    await until(() => scripted.asked.length > before, 'an exchange under way');
    assert.equal(await pushScope(VIEW), 'accepted');
    assert.equal((await answer).status, 503);
    assert.equal(await pushScope(LIST), 'accepted');
    await atRest(stack);
  });

  // What the old configuration still has to do, it does: its clock ticks on.
  test('while calls wait for the exchange of a client who then goes away: they are served', async () => {
    const { token, id } = inboundToken(stack);
    const session = connect(new URL(stack.gatewayUrl).origin);
    const held = scripted.hold();
    const first = streamOn(session, token);
    await held.asked();
    const others = Array.from({ length: 5 }, () => streamOn(session, token));
    await until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 6, 'all of them in Envoy');
    assert.equal(await pushScope(VIEW), 'accepted');
    first.stream.close(constants.NGHTTP2_CANCEL);
    await auditOf(stack, id); // the first is gone
    held.release();
    assert.deepEqual(await Promise.all(others.map(({ status }) => status)), [200, 200, 200, 200, 200]);
    session.close();
    assert.equal(await pushScope(LIST), 'accepted');
  });

  test('while a body is under way that never ends: the request is answered all the same', async () => {
    const { token, id } = inboundToken(stack);
    const session = connect(new URL(stack.gatewayUrl).origin);
    const { stream, status } = streamOn(session, token, { end: false });
    await until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 1, 'it in Envoy');
    assert.equal(await pushScope(VIEW), 'accepted');
    assert.equal(await status, 503);
    stream.close();
    session.close();
    const [{ reason, detail }] = await auditOf(stack, id);
    assert.deepEqual({ reason, detail }, { reason: 'undecided', detail: 'the request body did not end in time' });
    assert.equal(await pushScope(LIST), 'accepted');
  });

  test('with errors is refused whole, each of them is in the log, and the old one serves on', async () => {
    const calls = load(stack, Array.from({ length: 4 }, () => inboundToken(stack)), GET_TRANSACTIONS);
    const value = (text) => ({ 'filter.yaml': (yaml) => yaml.replace(/value: \|\n[^]*/, `value: ${JSON.stringify(text)}\n`) });
    for (const [edit, ...errors] of [
      [{ 'filter.yaml': (text) => text.replace('"path": "/mcp"', '"path": "mcp"').replace('"policy": "enterprise-ledger"', '"policy": "enterprise-ledgre"') },
        'endpoints\\[0\\].path: `mcp` is not a plain path', 'endpoints\\[0\\].policy: unknown policy `enterprise-ledgre`'],
      [{ 'filter.yaml': (text) => text.replace('"getAccount": {', '"getAccount": {"require_scopes": ["x"],').replace('"endpoints"', '"endpoint"') },
        'tools.getAccount.require_scopes: unknown field', 'endpoint: unknown field'],
      [value('{}'), '`?endpoints'],
      [value('{'), ''],
      [value(''), ''],
    ]) {
      const [seen, logged] = [calls.answers.length, envoyLog(stack).length];
      assert.equal(await stack.reconfigure({ edit }), 'rejected');
      for (const error of errors) {
        await until(() => new RegExp(`\\[error\\].*configuration refused: .*${error}`).test(envoyLog(stack).slice(logged)), `"${error}" in Envoy's log`);
      }
      await until(() => calls.answers.length >= seen + 40, 'calls under the old configuration');
    }
    const answers = await calls.stop();
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(await pushScope(VIEW), 'accepted', 'the next good one is taken');
    const client = inboundToken(stack);
    let count = 0;
    await until(async () => await scopeOf(client, count += 1) === VIEW, 'the new policy');
    assert.equal(await pushScope(LIST), 'accepted');
  });

  test('C05: rotates keys: first both are good, then only the new one', async () => {
    const keys = readJson(stack.keys.authorizationServer);
    const [old] = keys.jwks.keys;
    const fresh = await signingKey();
    const statusOf = async (key) => (await call(stack, inboundToken(stack, {}, key).token)).status;
    const withKeys = async (...signing) => {
      const jwks = { keys: [...signing, ...keys.jwks.keys.slice(1)] };
      writeAtomically(stack.keys.authorizationServer, JSON.stringify({ ...keys, jwks }), 0o600);
      await ensureKeys(stack.state);
      await stack.stopAuthorizationServer();
      await stack.startAuthorizationServer();
      assert.equal(await stack.reconfigure({}), 'accepted');
    };
    assert.equal(await statusOf(old), 200);
    assert.equal(await statusOf(fresh), 401, 'nobody has said that it is good');

    await withKeys(fresh, old);
    await until(async () => await statusOf(fresh) === 200, 'the new key');
    assert.equal(await statusOf(old), 200);
    const before = inboundToken(stack, {}, old);
    assert.equal((await call(stack, before.token)).status, 200);

    await withKeys(fresh);
    await until(async () => await statusOf(old) === 401, 'the end of the old key');
    assert.equal(await statusOf(fresh), 200);
    const answer = await call(stack, before.token);
    assert.equal(answer.status, 401, 'a token that was good before is no longer');
    assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
  });
});
