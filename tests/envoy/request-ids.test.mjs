// A stateful server on the official SDK knows the requests of a session by their ids alone. What a rule redacts is redacted all the
// same when a client uses an id twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../../demo/process.mjs';
import { initialize, KEYS, keysFrom, send } from './support/sessions.mjs';
import { startStatefulServer } from './support/stateful-server.mjs';
import { startTarget } from './support/target.mjs';

const POLICY = `
audience: https://enterprise-ledger.orchestrator.lab/
baseline: {delegation: {scope: "ledger:Connect"}}
tools:
  getTransactions:
    redact: [amount]
    delegation: {scope: "ledger:GetAccount"}
  listAccounts:
    delegation: {scope: "ledger:ListAccounts"}
`;

/** The default of `limits.body_bytes`. */
const LONGEST = 1 << 20;

const call = (name, id, args = {}) => ({ message: { id, method: 'tools/call', params: { name, arguments: args } } });
const cancel = (requestId) => ({ message: { id: undefined, method: 'notifications/cancelled', params: { requestId } } });
const answered = async (response) => {
  const [, data] = /^data: (\{.*)$/m.exec(await response.text());
  const { id, result } = JSON.parse(data);
  return { id, text: result.content[0].text };
};

describe('the requests of a session whose answers are redacted', () => {
  let server;
  let target;
  let token;
  let session;
  before(async () => {
    server = await startStatefulServer();
    const set = { sessions: keysFrom('DEPUTY_SESSION_KEY') };
    // What Envoy must hold at the least, and not a byte more.
    const tight = (text) => text.replace(/(per_connection_buffer_limit_bytes: )\d+/, `$1${LONGEST + 1}`);
    const gateway = { set, env: KEYS, workers: 3, edit: { 'envoy.yaml': tight } };
    target = await startTarget({ upstream: server, policy: () => POLICY, gateway });
    token = target.mint.token();
    ({ session } = await initialize(target.stack, token));
  });
  after(() => target?.stop());

  const ask = (what) => send(target.stack, 'POST', token, session, what);
  const underWay = () => until(() => server.waiting.shift(), 'the call');

  for (const id of [7, '7', 'é "']) {
    test(`P17: another under the id ${JSON.stringify(id)} of one under way gets its own answer`, async () => {
      const redacted = ask(call('getTransactions', id));
      const waiting = await underWay();
      const plain = await answered(await ask(call('listAccounts', id)));
      assert.match(plain.text, /^\d+$/);
      assert.equal(plain.id, id);
      waiting.release();
      assert.deepEqual(await answered(await redacted), { id, text: '[redacted]' });
    });

    test(`one with the id ${JSON.stringify(id)} is cancelled, by whichever worker`, async () => {
      for (let count = 0; count < 6; count += 1) {
        ask(call('getTransactions', id)).catch(() => {});
        const waiting = await underWay();
        assert.equal((await ask(cancel(id))).status, 202);
        await until(() => waiting.cancelled, 'the cancellation');
      }
    });
  }

  test('a body as long as may be goes up with its mark, with or without an exchange before it; a longer one does not', async () => {
    const message = (more) => call('getTransactions', 9, { more });
    const first = ask(message(''));
    (await underWay()).release();
    await first;
    const { id, jsonrpc, method, params } = server.heard.at(-1);
    const rest = LONGEST - JSON.stringify({ jsonrpc, id, method, params }).length;
    for (const tokenBefore of [token, target.mint.token()]) {
      token = tokenBefore;
      const redacted = ask(message('x'.repeat(rest)));
      (await underWay()).release();
      assert.deepEqual(await answered(await redacted), { id: 9, text: '[redacted]' });
      assert.equal(server.heard.at(-1).params.arguments.more.length, rest);
    }
    // Envoy ends when it must hold more than it may, so nobody may be let do that to it.
    const mark = id.length + '""'.length - '9'.length;
    for (const more of [1, mark - 1, mark, mark + 1]) {
      for (const fresh of [token, target.mint.token()]) {
        token = fresh;
        assert.equal((await ask(message('x'.repeat(rest + more)))).status, 413, `${more}`);
      }
    }
    const plain = await ask(call('listAccounts', 9, { more: 'x'.repeat(rest) }));
    assert.equal((await answered(plain)).id, 9);
  });
});
