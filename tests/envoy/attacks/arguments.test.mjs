// Arguments that a rule reads: what it judged is what the MCP server is called with.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { toolCall } from '../support/client.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';

const POLICY = `
audience: https://enterprise-ledger.orchestrator.lab/
baseline: {delegation: {scope: "ledger:Connect"}}
tools:
  getAccount:
    require:
      arguments:
        accountId: {matches: 'ACC-[0-9]{4}'}
        depth: {presence: optional, max: 3}
        filter: {presence: optional, members: {status: {in: [open, closed]}}}
      other_arguments: deny
    delegation: {scope: "ledger:GetAccount"}
  getTransactions:
    require: {arguments: {basket_id: {in_claim: baskets}}}
    delegation: {scope: "ledger:ListTransactions"}
`;

describe('arguments that a rule reads', () => {
  let target;
  before(async () => { target = await startTarget({ echo: true, policy: () => POLICY }); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  /** The arguments as the server got them, or the denial's sentence. */
  async function outcome(body, token) {
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const answer = await target.post(bytes, { token });
    const requests = target.echo.take();
    const { error } = JSON.parse(answer.text);
    assert.equal(requests.length, error ? 0 : 1);
    if (!error) assert.deepEqual(requests[0].body, bytes);
    return error?.message ?? 'called';
  }
  const raw = (args) => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccount","arguments":${args}}}`;

  test('N05: an argument of another type or shape, or in two places, is refused', async () => {
    const good = ['{"accountId":"ACC-1001"}', '{"accountId":"\\u0041CC-1001","depth":3}', '{"accountId":"ACC-1001","depth":0.0,"filter":{"status":"open","more":1}}'];
    for (const args of good) assert.equal(await outcome(raw(args)), 'called', args);
    await each([
      '{"accountId":["ACC-1001"]}', '{"accountId":{"accountId":"ACC-1001"}}', '{"accountId":" ACC-1001"}', '{"accountId":"ACC-1001\\n"}', '{"accountId":"acc-1001"}',
      '{"accountId":"ACC-1001 or ACC-1002"}', '{"accountId":1001}', '{"accountId":null}', '{}', 'null', '{"accountid":"ACC-1001"}', '{"accountId":"ACC-\\uff11001"}',
      '{"accountId":"ACC-1001","accountId2":"ACC-9999"}', '{"accountId":"ACC-1001","Depth":9}', '{"accountId":"ACC-1001","depth":"1"}', '{"accountId":"ACC-1001","depth":4}',
      '{"accountId":"ACC-1001","depth":3.0000001}', '{"accountId":"ACC-1001","depth":null}', '{"accountId":"ACC-1001","depth":-1e400}', '{"accountId":"ACC-1001","filter":"open"}',
      '{"accountId":"ACC-1001","filter":{"Status":"open"}}', '{"accountId":"ACC-1001","filter":{"status":["open"]}}',
      // What two parsers would read differently.
      '{"accountId":"ACC-1001","accountId":"ACC-9999"}', '{"accountId":"ACC-1001","\\u0061ccountId":"ACC-9999"}', '{"accountId":"ACC-1001","AccountId":"ACC-9999"}',
      '{"accountId":"ACC-1001","filter":{"status":"open","status":"secret"}}', '{"accountId":"ACC-1001","__proto__":{"depth":9}}',
    ], async (args) => assert.notEqual(await outcome(raw(args)), 'called'));
    // Beside the arguments, where a careless server might look.
    await each([
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccount","accountId":"ACC-1001"}}',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","arguments":{"accountId":"ACC-1001"},"params":{"name":"getAccount"}}',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccount","Arguments":{"accountId":"ACC-1001"}}}',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccount","arguments":{"accountId":"ACC-9"},"arguments":{"accountId":"ACC-1001"}}}',
    ], async (body) => assert.notEqual(await outcome(body), 'called'));
  });

  test('S07: a handle of another user is refused where a claim binds the argument', async () => {
    const mine = target.mint.token({ baskets: ['b-1', 'b-2'] });
    const ask = (id, token) => outcome(toolCall('getTransactions', { basket_id: id }), token);
    assert.equal(await ask('b-2', mine), 'called');
    const denied = 'Access denied: the argument `basket_id` of getTransactions must be in the caller\'s claim `baskets`.';
    await each(['b-3', ['b-1'], 'B-1', '', null, { in: 'b-1' }], async (id) => assert.equal(await ask(id, mine), denied));
    await each([{}, { baskets: 'b-1' }, { baskets: [['b-1']] }, { Baskets: ['b-1'] }, { baskets: null }], async (claims) => assert.equal(await ask('b-1', target.mint.token(claims)), denied));
  });
});
