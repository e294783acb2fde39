// A second authorization server, of other people's making: what is particular about it stands in the configuration.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { envoySecret, writeAtomically } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { startAuthgent } from './support/authgent.mjs';
import { call, toolCall } from './support/client.mjs';
import { auditOf, logged } from './support/records.mjs';
import { startTarget } from './support/target.mjs';
import { decode } from './support/tokens.mjs';

const { createLocalJWKSet, jwtVerify } = createRequire(new URL('../../demo/package.json', import.meta.url))('jose');

const SCOPES = 'mcp:connect ledger:Connect ledger:ListAccounts ledger:UpdateAccount';

let directory;
let authgent;
let target;
let stack;
let echo;
let secret; // the file that Envoy reads

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'deputy-authgent-'));
  authgent = await startAuthgent(directory, { scopes: ['ledger:Connect', 'ledger:ListAccounts', 'ledger:GetAccount'] });
  const jwks = join(directory, 'authgent.jwks.json');
  writeFileSync(jwks, JSON.stringify(await authgent.jwks()));
  secret = join(directory, 'authgent-secret.yaml');
  writeAtomically(secret, envoySecret(authgent.gateway), 0o600);
  const { host } = new URL(authgent.url);
  const set = {
    'protected_resource.authorization_servers[0]': authgent.url,
    'issuers[0].issuer': authgent.url,
    'issuers[0].jwks_file': jwks,
    'issuers[0].token_types': '[JWT]',
    'issuers[0].leeway': '1m', // so that it is the server that says that a token has expired
    'exchange.issuer': authgent.url,
    'exchange.authority': host,
    'exchange.actor': `client:${authgent.gateway.client_id}`,
    'exchange.token_types': '[JWT]',
    'exchange.error_codes': '{scope_escalation: denied, insufficient_scope: denied, token_revoked: subject_rejected}',
    'envoy.clusters.authorization_server': host,
    'envoy.secret': secret,
  };
  target = await startTarget({ echo: true, gateway: { set } });
  ({ stack, echo } = target);
});

after(async () => {
  await target?.stop();
  await authgent?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** The answer and the record of a call that must not reach the MCP server. */
async function refused(token, body) {
  echo.take();
  const answer = await call(stack, token, body);
  const [record] = await auditOf(stack, decode(token).jti);
  assert.equal(echo.take().length, 0);
  assert.equal(record.upstream_status, undefined);
  assert.equal(record.status, answer.status);
  return { answer, record };
}

test('a call goes up under its delegation token: who, through whom, what, where, for five seconds', async () => {
  const token = await authgent.signIn(stack.gatewayUrl, SCOPES);
  assert.equal((await call(stack, token)).status, 200);

  const [{ headers }] = echo.take();
  const [, bearer] = headers.find(([name]) => name === 'authorization');
  assert.equal(headers.filter(([name]) => name === 'authorization').length, 1);
  assert.notEqual(bearer, `Bearer ${token}`);
  const { payload } = await jwtVerify(bearer.slice('Bearer '.length), createLocalJWKSet(await authgent.jwks()));
  const { iat, exp, jti, ...claims } = payload;
  const { client_id } = authgent.gateway;
  assert.deepEqual(claims, {
    iss: authgent.url, sub: decode(token).sub, act: { sub: `client:${client_id}` }, client_id, scope: 'ledger:ListAccounts', aud: LEDGER,
  });
  assert.equal(exp - iat, 5);

  const [record] = await auditOf(stack, decode(token).jti);
  assert.deepEqual(record.delegation, {
    token_id: jti, scope: 'ledger:ListAccounts', audience: LEDGER, lifetime_s: 5, actors: [`client:${client_id}`], source: 'exchanged',
  });
  assert.equal(record.subject, decode(token).sub);
});

for (const [tool, why] of [
  ['getAccount', 'the caller may not delegate that scope'],
  ['updateAccountStatus', 'this gateway may not ask for that scope'],
]) {
  test(`${why}: the model is told, in a JSON-RPC error`, async () => {
    const { answer, record } = await refused(await authgent.signIn(stack.gatewayUrl, SCOPES), toolCall(tool));
    assert.equal(record.reason, 'exchange_denied');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.message.error, { code: 403, message: 'Access denied: the authorization server does not delegate this operation.' });
  });
}

test('a token that has expired there: the client must sign in again', async () => {
  const token = await authgent.machineToken(stack.gatewayUrl, SCOPES);
  await until(() => Date.now() / 1000 > decode(token).exp + 1, 'the end of the token');
  const { answer, record } = await refused(token);
  assert.equal(record.reason, 'exchange_subject_rejected');
  assert.equal(answer.status, 401);
  assert.match(answer.headers['www-authenticate'], /^Bearer error="invalid_token"/);
});

test('a token that was revoked: the client must sign in again', async () => {
  const token = await authgent.signIn(stack.gatewayUrl, SCOPES);
  await authgent.revoke(token);
  const { answer, record } = await refused(token);
  assert.equal(record.reason, 'exchange_subject_rejected');
  assert.equal(answer.status, 401);
});

test('a secret that it does not know: 502, an error for the operator, and all is well again with the right one', async () => {
  writeAtomically(secret, envoySecret({ ...authgent.gateway, client_secret: 'out-of-date' }), 0o600);
  const signedIn = () => authgent.signIn(stack.gatewayUrl, SCOPES);
  const token = await until(async () => {
    const token = await signedIn();
    return (await call(stack, token)).status === 502 && token;
  }, 'the wrong secret in use');
  const [record] = await auditOf(stack, decode(token).jti);
  assert.equal(record.reason, 'exchange_client_rejected');
  await logged(stack, /\[error\].*token exchange: exchange_client_rejected/);

  writeAtomically(secret, envoySecret(authgent.gateway), 0o600);
  await until(async () => (await call(stack, await signedIn())).status === 200, 'the right secret in use');
});
