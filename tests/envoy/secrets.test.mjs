// The gateway's secret can be changed at any time, and neither it nor any token is to be read anywhere.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { basicCredential, ensureKeys, readJson, writeAtomically } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, requestHeaders, toolCall } from './support/client.mjs';
import { accessLogged, auditOf, logged, readablePlaces } from './support/records.mjs';
import { ACCESS_TOKEN, reply, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { delegationToken, inboundToken } from './support/tokens.mjs';

let stack;
let scripted;
const used = new Set(); // every secret and token of these tests

before(async () => {
  ({ stack, scripted } = await startScriptedStack());
  useClient();
  // Notes the delegation tokens too.
  scripted.script = async (request, response, body) => {
    const { status, text } = await scripted.answerOf(request, body);
    const { access_token: token } = JSON.parse(text);
    if (token) used.add(token);
    reply(response, status, text);
  };
});
after(() => stack?.stop());

function useClient() {
  const client = readJson(stack.keys.gatewayClient);
  used.add(client.client_secret);
  used.add(basicCredential(client).slice('Basic '.length));
}

function tokenInUse() {
  const made = inboundToken(stack);
  used.add(made.token);
  return made;
}

test('a new secret: a mistake is reported to the operator alone, and mended by a new file, without a restart', async () => {
  const pid = stack.pids.gateway;
  assert.equal((await call(stack, tokenInUse().token)).status, 200);

  const client = { ...readJson(stack.keys.gatewayClient), client_secret: randomBytes(32).toString('base64url') };
  writeAtomically(stack.keys.gatewayClient, JSON.stringify(client), 0o600);
  useClient();
  await stack.stopAuthorizationServer();
  await stack.startAuthorizationServer();

  const { token, id } = tokenInUse();
  const answer = await call(stack, token);
  assert.equal(answer.status, 502);
  assert.doesNotMatch(answer.text + JSON.stringify(answer.headers), /client|secret|invalid/i);
  const [record] = await auditOf(stack, id);
  assert.equal(record.reason, 'exchange_client_rejected');
  await logged(stack, /\[error\].*token exchange: exchange_client_rejected/);
  assert.deepEqual(stack.ledgerRequests().length, 1);

  await ensureKeys(stack.state); // writes Envoy's file anew
  await until(async () => (await call(stack, tokenInUse().token)).status === 200, 'an exchange with the new secret');
  assert.equal(stack.pids.gateway, pid);
});

test('no token and no secret is to be read in a log, in the configuration, or in what Envoy tells of itself', async () => {
  // All ways that a transaction can end.
  await call(stack, tokenInUse().token, toolCall('nothingOfTheKind'));
  await call(stack, tokenInUse().token, 'not json');
  const { token } = tokenInUse();
  await call(stack, `${token.slice(0, -8)}AAAAAAAA`);
  used.add(token.slice(0, -8));
  const inQuery = tokenInUse().token;
  await fetch(`${stack.gatewayUrl}?access_token=${inQuery}`, { method: 'POST', headers: requestHeaders(inQuery), body: LIST_ACCOUNTS });
  const bad = delegationToken(stack, new URLSearchParams({ audience: 'https://elsewhere.example/', scope: 'x' }));
  used.add(bad);
  const { script } = scripted;
  scripted.script = (request, response) => reply(response, 200, { access_token: bad, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 });
  assert.equal((await call(stack, tokenInUse().token)).status, 502);
  scripted.script = script;
  const last = tokenInUse();
  assert.equal((await call(stack, last.token)).status, 200);
  const [{ request_id: requestId }] = await auditOf(stack, last.id);
  await accessLogged(stack, requestId);

  assert.ok([...used].length > 12, 'there is something to look for');
  const places = await readablePlaces(stack);
  assert.match(Object.fromEntries(places)['admin /config_dump?include_eds'], /\[redacted\]/, 'the secret is there');
  for (const [place, text] of places) {
    assert.ok(text.length > 0, `${place} is empty`);
    for (const secret of used) {
      // A token's claims and its signature each give it away.
      for (const part of secret.split('.').filter(({ length }) => length > 30)) {
        if (part.startsWith('eyJhbGci')) continue; // the header, which all share
        assert.ok(!text.includes(part), `${place} has ${part.slice(0, 12)}…`);
      }
    }
  }
});
