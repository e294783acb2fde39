import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client as CurrentClient, StreamableHTTPClientTransport as CurrentTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt, importJWK, SignJWT } from 'jose';
import { readJson } from '../keys.mjs';
import { exchange, inboundToken, LEDGER, SARAH, startServices } from './services.mjs';

let services;
let inbound;
let signingKey;

before(async () => {
  services = await startServices();
  inbound = (await inboundToken(services, SARAH, 'mcp:connect pii:read audit:read')).access_token;
  signingKey = readJson(services.paths.authorizationServer).jwks.keys.find((key) => key.alg === 'ES256');
});
after(() => services?.stop());

const delegation = async (scope) => (await exchange(services, { subject_token: inbound, scope })).body.access_token;

/** A token with the server's own signature and any claims: only the claim at hand is wrong. */
async function signed(claims, header = {}) {
  const now = Math.floor(Date.now() / 1000);
  const good = { iss: services.issuer, sub: SARAH.user, act: { sub: 'ai-identity-gateway' }, client_id: 'ai-identity-gateway',
    aud: LEDGER, scope: 'ledger:ListAccounts', iat: now, exp: now + 5, jti: crypto.randomUUID() };
  return new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: signingKey.kid, ...header })
    .sign(await importJWK(signingKey, 'ES256'));
}

async function post(token, message) {
  const response = await fetch(services.ledgerUrl, { method: 'POST', body: JSON.stringify(message), headers: {
    'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(token && { authorization: `Bearer ${token}` }) } });
  return { status: response.status, text: await response.text() };
}
const call = (name, args = {}) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });

test('each tool is served under its own scope', async (t) => {
  const cases = [
    ['listAccounts', {}, 'ledger:ListAccounts', /ACC-1001/],
    ['getAccount', { accountId: 'ACC-1001' }, 'ledger:GetAccount', /Research/],
    ['getTransactions', { accountId: 'ACC-1001' }, 'ledger:ListTransactions', /Microprocessor/],
    ['getTransactions', { accountId: 'ACC-1001' }, 'ledger:ViewTransactions', /Microprocessor/],
    ['updateAccountStatus', { accountId: 'ACC-3001', status: 'frozen' }, 'ledger:UpdateAccount', /frozen/],
    ['getCustomerPII', { customerId: 'CUST-001' }, 'ledger:ReadPII', /078-05-1120/],
    ['getAuditLog', {}, 'ledger:ReadAudit', /ACC-3001.*active -> frozen/],
  ];
  for (const [tool, args, scope, expected] of cases) {
    await t.test(`${tool} with ${scope}`, async () => {
      const { status, text } = await post(await delegation(scope), call(tool, args));
      assert.equal(status, 200);
      assert.match(text, expected);
    });
  }
});

test('an update is recorded with the user and the gateway', async () => {
  const { text } = await post(await delegation('ledger:ReadAudit'), call('getAuditLog', { limit: 1 }));
  assert.match(text, /sarah\.connor@orchestrator\.lab/);
  assert.match(text, /ai-identity-gateway/);
});

test('what is no tool takes ledger:Connect', async () => {
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
  const { status, text } = await post(await delegation('ledger:Connect'), list);
  assert.equal(status, 200);
  for (const tool of ['listAccounts', 'getAccount', 'getTransactions', 'updateAccountStatus', 'getCustomerPII', 'getAuditLog']) assert.match(text, new RegExp(tool));
  assert.equal((await post(await delegation('ledger:ListAccounts'), list)).status, 403);
});

test('any other token is refused', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const cases = [
    ['no token', undefined, 401],
    ['the inbound token', inbound, 401],
    ['another scope', await delegation('ledger:Connect'), 403],
    ['two scopes', await signed({ scope: 'ledger:ListAccounts ledger:ReadPII' }), 403],
    ['another audience', await signed({ aud: 'https://employee-directory.orchestrator.lab/' }), 401],
    ['two audiences', await signed({ aud: [LEDGER, 'https://employee-directory.orchestrator.lab/'] }), 401],
    ['another issuer', await signed({ iss: 'https://evil.example' }), 401],
    ['another actor', await signed({ act: { sub: 'mcp-client-cli' } }), 403],
    ['no actor', await signed({ act: undefined }), 401],
    ['a long life', await signed({ exp: now + 3600 }), 401],
    ['another type', await signed({}, { typ: 'JWT' }), 401],
    ['a broken signature', `${(await signed({})).slice(0, -8)}AAAAAAAA`, 401],
  ];
  for (const [name, token, status] of cases) {
    await t.test(name, async () => {
      const answer = await post(token, call('listAccounts'));
      assert.equal(answer.status, status);
      assert.ok(JSON.parse(answer.text).error);
    });
  }
  await t.test('a good one, by the same helper', async () => assert.equal((await post(await signed({}), call('listAccounts'))).status, 200));
});

test('a token is dead one second after it expired', async () => {
  const now = Math.floor(Date.now() / 1000);
  const statusOf = async (exp) => (await post(await signed({ iat: exp - 5, exp }), call('listAccounts'))).status;
  assert.equal(await statusOf(now + 1), 200);
  assert.equal(await statusOf(now - 1), 401);
});

test('batches, other bodies and unknown tools are not served', async () => {
  const token = await delegation('ledger:ListAccounts');
  assert.equal((await post(token, [call('listAccounts'), call('getCustomerPII')])).status, 400);
  assert.equal((await post(token, call('toString'))).status, 403);
});

test('the log has the claims and the verdict, and no token', async () => {
  const token = await delegation('ledger:ListAccounts');
  await post(token, call('listAccounts'));
  const entry = services.ledgerLog().at(-1);
  assert.deepEqual([entry.method, entry.tool, entry.verdict, entry.status], ['tools/call', 'listAccounts', 'served', 200]);
  assert.equal(entry.claims.jti, decodeJwt(token).jti);
  assert.deepEqual(entry.claims.act, { sub: 'ai-identity-gateway' });
  const text = JSON.stringify(services.ledgerLog());
  assert.ok(!text.includes(token) && !text.includes(token.split('.')[2]) && !text.includes('eyJ'));
});

test('clients of both protocol eras are served', async (t) => {
  // Stands for the gateway: a fresh token for every request.
  const fetchWithToken = async (url, init) => {
    const message = init.body ? JSON.parse(init.body) : {};
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${await delegation(message.method === 'tools/call' ? 'ledger:ListAccounts' : 'ledger:Connect')}`);
    return fetch(url, { ...init, headers });
  };
  const url = new URL(services.ledgerUrl);
  const eras = [
    ['2025-11-25', new Client({ name: 'test', version: '1' }), new StreamableHTTPClientTransport(url, { fetch: fetchWithToken })],
    ['2026-07-28', new CurrentClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } }), new CurrentTransport(url, { fetch: fetchWithToken })],
  ];
  for (const [era, client, transport] of eras) {
    await t.test(era, async () => {
      await client.connect(transport);
      assert.equal((await client.listTools()).tools.length, 6);
      const result = await client.callTool({ name: 'listAccounts', arguments: {} });
      assert.equal(result.structuredContent.accounts.length, 5);
      await client.close();
    });
  }
});
