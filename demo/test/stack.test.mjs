// The stack with the gateway.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SignedInClient } from '../client/client.mjs';
import { SARAH } from '../people.mjs';
import { until } from '../process.mjs';
import { startStack } from '../stack.mjs';

describe('the stack', () => {
  let state;
  let stack;
  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'deputy-stack-'));
    stack = await startStack({ state });
  });
  after(async () => {
    await stack?.stop();
    rmSync(state, { recursive: true });
  });

  test('a call is exchanged once, recorded once, and reaches the ledger under the token on record', async () => {
    const client = await SignedInClient.connect(stack.gatewayUrl, SARAH);
    await client.callTool('listAccounts');
    await client.close();
    assert.equal(stack.exchanges().filter(({ scope }) => scope === 'ledger:ListAccounts').length, 1);
    const record = await until(() => stack.auditRecords().find(({ tool }) => tool === 'listAccounts'), 'the audit record');
    assert.equal(stack.ledgerRequests().find(({ tool }) => tool === 'listAccounts').claims.jti, record.delegation.token_id);
  });

  test('without the authorization server nothing new is delegated; once it is back, it is', async () => {
    const client = await SignedInClient.connect(stack.gatewayUrl, SARAH);
    await stack.stopAuthorizationServer();
    await assert.rejects(client.callTool('getAccount', { accountId: 'ACC-1001' }), { code: 503 });
    await stack.startAuthorizationServer();
    const result = await client.callTool('getAccount', { accountId: 'ACC-1001' });
    assert.equal(result.structuredContent.id, 'ACC-1001');
    await client.close();
  });

  test('a configuration that is the same changes nothing', async () => {
    assert.equal(await stack.reconfigure({}), 'unchanged');
  });

  test('stop leaves no process behind', async () => {
    const pids = Object.values(stack.pids);
    assert.equal(pids.length, 3);
    await stack.stop();
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
});
