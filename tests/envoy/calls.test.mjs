// What people do all day, with both generations of the official client, and what the ledger is shown of it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { GATEWAY } from '../../demo/keys.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { toolCall } from './support/client.mjs';
import { CurrentClient, EarlierClient } from './support/sdk-clients.mjs';
import { startTarget } from './support/target.mjs';
import { fingerprint } from './support/tokens.mjs';

const PII = 'Access denied: PII access requires pii:read scope.';

describe('calls of real clients', () => {
  let target;
  const inboundTokens = new Set();
  before(async () => { target = await startTarget(); });
  after(() => target?.stop());

  for (const [generation, Client, version] of [['1.32', EarlierClient, '2025-11-25'], ['2.4', CurrentClient, '2026-07-28']]) {
    describe(`client ${generation}`, () => {
      let sarah;
      before(async () => { sarah = await Client.connect(target.stack.gatewayUrl, SARAH); });
      after(() => sarah?.close());
      const keepToken = (client) => inboundTokens.add(client.accessToken);

      test('it connects, lists the tools and calls one', async () => {
        const { tools } = await sarah.listTools();
        assert.ok(tools.some(({ name }) => name === 'listAccounts'));
        const result = await sarah.callTool('listAccounts');
        assert.equal(result.structuredContent.accounts.length, 5);
        keepToken(sarah);
      });

      test('a tool that no rule names is refused with a sentence, and the session goes on', async () => {
        await assert.rejects(sarah.callTool('dropAllAccounts'), (error) => error.code === 403 && /Access denied/.test(error.message));
        assert.equal((await sarah.callTool('getAccount', { accountId: 'ACC-1001' })).structuredContent.id, 'ACC-1001');
      });

      test('a missing scope is stepped up to', async () => {
        const held = sarah.accessToken;
        const result = await sarah.callTool('getCustomerPII', { customerId: 'CUST-001' });
        assert.equal(result.structuredContent.id, 'CUST-001');
        assert.notEqual(sarah.accessToken, held);
        keepToken(sarah);
      });

      test('who may not have the scope is refused, and the ledger does not hear of it', async () => {
        const john = await Client.connect(target.stack.gatewayUrl, JOHN);
        const before = target.stack.ledgerRequests().filter(({ tool }) => tool === 'getCustomerPII').length;
        await assert.rejects(john.callTool('getCustomerPII', { customerId: 'CUST-001' }));
        assert.equal((await john.callTool('listAccounts')).structuredContent.accounts.length, 5);
        keepToken(john);
        await john.close();
        assert.equal(target.stack.ledgerRequests().filter(({ tool }) => tool === 'getCustomerPII').length, before);
      });

      test(`it speaks revision ${version}`, async () => {
        const records = await target.record(({ tool }) => tool === 'getCustomerPII') && target.stack.auditRecords();
        const methods = new Set(records.map(({ method }) => method));
        assert.ok(methods.has(version === '2026-07-28' ? 'server/discover' : 'initialize'));
      });
    });
  }

  test('the refusal is a sentence that the model can relay, under the id of the request', async () => {
    const missing = await target.post(toolCall('getCustomerPII', {}, 'seven'));
    assert.equal(missing.status, 403);
    assert.deepEqual(JSON.parse(missing.text), { jsonrpc: '2.0', id: 'seven', error: { code: 403, message: PII } });
    assert.match(missing.headers.get('www-authenticate'), /error="insufficient_scope", scope="mcp:connect pii:read"/);
    const unknown = await target.post(toolCall('dropAllAccounts', {}, 8));
    assert.equal(unknown.status, 200);
    assert.deepEqual(JSON.parse(unknown.text).id, 8);
  });

  test('C11: the ledger has seen delegation tokens alone: the user, through the gateway, for one operation, for five seconds', async () => {
    const requests = target.stack.ledgerRequests();
    const served = { listAccounts: 'ledger:ListAccounts', getAccount: 'ledger:GetAccount', getCustomerPII: 'ledger:ReadPII' };
    assert.deepEqual([...new Set(requests.map(({ tool }) => tool).filter(Boolean))].sort(), Object.keys(served).sort());
    const inbound = new Set([...inboundTokens].map(fingerprint));
    assert.ok(inbound.size >= 4);
    for (const { token, claims, tool, verdict } of requests) {
      assert.equal(verdict, 'served');
      assert.ok(!inbound.has(token));
      assert.ok([SARAH.user, JOHN.user].includes(claims.sub));
      assert.deepEqual(claims.act, { sub: GATEWAY });
      assert.equal(claims.scope, tool ? served[tool] : 'ledger:Connect');
      assert.equal(claims.aud, LEDGER);
      assert.equal(claims.exp - claims.iat, 5);
    }
  });
});
