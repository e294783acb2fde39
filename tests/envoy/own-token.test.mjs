// Calls that come before the gateway has a token of its own to act by.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRequire } from 'node:module';
import { GATEWAY, signingKey } from '../../demo/keys.mjs';
import { call } from './support/client.mjs';
import { auditOf } from './support/records.mjs';
import { ACCESS_TOKEN, reply, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { delegationToken, inboundToken } from './support/tokens.mjs';

const { importJWK, jwtVerify } = createRequire(new URL('../../demo/package.json', import.meta.url))('jose');

const OWN_TOKEN = 'the-token-of-the-gateway';
let stack;
let scripted;
let key;
const asked = []; // the forms, and the headers that they came with

before(async () => {
  key = await signingKey('ES256');
  const set = {
    'exchange.client_authentication': '{private_key_jwt: {from_environment: DEPUTY_TEST_CLIENT_KEY, audience: https://login.example}}',
    'exchange.actor_token': '{client_credentials: {scope: act}}',
  };
  ({ stack, scripted } = await startScriptedStack({ gateway: { set, env: { DEPUTY_TEST_CLIENT_KEY: JSON.stringify(key) } } }));
  scripted.script = (request, response, body) => {
    const form = new URLSearchParams(body.toString());
    asked.push({ form, headers: request.headers });
    if (form.get('grant_type') === 'client_credentials') {
      return reply(response, 200, { access_token: OWN_TOKEN, token_type: 'Bearer', expires_in: 3600 });
    }
    return reply(response, 200, {
      access_token: delegationToken(stack, form), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5,
    });
  };
});
after(() => stack?.stop());

test('calls that wait for the gateway\'s own token go on with it, and each request has an assertion of its own', async () => {
  const callers = [1, 2, 3].map(() => inboundToken(stack));
  const answers = await Promise.all(callers.map(({ token }) => call(stack, token)));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
  for (const { id } of callers) {
    const [record] = await auditOf(stack, id);
    assert.deepEqual(record.delegation.actors, [GATEWAY]);
  }

  const exchanges = asked.filter(({ form }) => form.has('subject_token'));
  assert.equal(exchanges.length, 3);
  for (const { form } of exchanges) assert.equal(form.get('actor_token'), OWN_TOKEN);
  const { d, ...publicKey } = key;
  const ids = new Set();
  for (const { form, headers } of asked) {
    assert.equal(headers.authorization, undefined, 'one way to authenticate');
    const { payload, protectedHeader } = await jwtVerify(form.get('client_assertion'), await importJWK(publicKey, 'ES256'), {
      issuer: GATEWAY, subject: GATEWAY, audience: 'https://login.example',
    });
    assert.equal(protectedHeader.kid, key.kid);
    ids.add(payload.jti);
  }
  assert.equal(ids.size, asked.length);
});
