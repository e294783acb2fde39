// The authorization server says no, says nothing, or says something else: what the client is told, and that nothing goes up.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { GATEWAY, readJson, signingKey } from '../../demo/keys.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { call } from './support/client.mjs';
import { auditOf, logged } from './support/records.mjs';
import { ACCESS_TOKEN, reply, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { delegationToken, inboundToken, Mint } from './support/tokens.mjs';

const TIMEOUT = 1000;

describe('an exchange that gives no delegation token', () => {
  let stack;
  let scripted;
  before(async () => {
    ({ stack, scripted } = await startScriptedStack({ gateway: { set: { 'exchange.timeout': `${TIMEOUT}ms`, 'limits.decision_time': '5s' } } }));
  });
  after(() => stack?.stop());

  // Calls once under `script`; nothing may reach the ledger, and the record must say why.
  async function refused(script, { inbound, reason, detail, decision = 'refuse' }) {
    const [before, { token, id }] = [stack.ledgerRequests().length, inboundToken(stack, inbound)];
    scripted.script = script;
    const answer = await call(stack, token);
    const [record, ...more] = await auditOf(stack, id);
    assert.deepEqual(more, []);
    assert.equal(record.reason, reason);
    assert.equal(record.decision, decision);
    if (detail) assert.equal(record.detail, detail);
    assert.equal(record.status, answer.status);
    assert.equal(record.upstream_status, undefined);
    assert.equal(stack.ledgerRequests().length, before);
    return answer;
  }
  const error = (status, code) => (request, response) => reply(response, status, { error: code, error_description: 'SECRET DETAIL' });

  for (const code of ['invalid_scope', 'invalid_target', 'access_denied']) {
    test(`${code}: the model is told, in a JSON-RPC error`, async () => {
      const { status, message } = await refused(error(400, code), { reason: 'exchange_denied', decision: 'deny' });
      assert.equal(status, 200);
      assert.deepEqual(message, { jsonrpc: '2.0', id: 7,
        error: { code: 403, message: 'Access denied: the authorization server does not delegate this operation.' } });
    });
  }

  for (const code of ['invalid_grant', 'invalid_request']) {
    test(`${code}: the client must sign in again`, async () => {
      const { status, headers } = await refused(error(400, code), { reason: 'exchange_subject_rejected' });
      assert.equal(status, 401);
      assert.match(headers['www-authenticate'], /^Bearer error="invalid_token"/);
    });
  }

  for (const [status, code] of [[401, 'invalid_client'], [400, 'unauthorized_client']]) {
    test(`${code}: an operator must look, and the client learns nothing`, async () => {
      const answer = await refused(error(status, code), { reason: 'exchange_client_rejected' });
      assertNoUsableToken(answer);
      await logged(stack, /\[error\].*token exchange: exchange_client_rejected/);
    });
  }

  for (const [what, script] of Object.entries({
    '500': (request, response) => reply(response, 500, { error: 'server_error' }),
    '503 of its own': (request, response) => reply(response, 503, 'down for maintenance'),
    '429': (request, response) => reply(response, 429, { error: 'slow_down' }),
    temporarily_unavailable: error(400, 'temporarily_unavailable'),
  })) {
    test(`${what}: retry later`, async () => assertRetryLater(await refused(script, { reason: 'exchange_unavailable' })));
  }

  for (const [what, script] of Object.entries({
    'an accepted request that is never answered': () => {},
    'headers, and then nothing': (request, response) => { response.writeHead(200, { 'content-type': 'application/json' }).write('{'); },
    'a reply that is cut off': (request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 100);
    },
    'a reply above what Envoy reads': (request, response) => reply(response, 200, 'x'.repeat(40 * 1024 * 1024)),
    'a connection that is cut off': (request) => request.socket.destroy(),
    'bytes that are not HTTP': (request) => request.socket.end('\u0000\u0001 garbage\r\n\r\n'),
  })) {
    test(`${what}: retry later`, async () => assertRetryLater(await refused(script, { reason: 'exchange_no_answer' })));
  }

  test('a refused connection: retry later', async () => {
    await scripted.stop();
    assertRetryLater(await refused(undefined, { reason: 'exchange_no_answer' }));
    await scripted.listen();
  });

  for (const [what, script, detail] of [
    ['text', (request, response) => reply(response, 200, 'welcome', { 'content-type': 'text/html' }), 'not JSON'],
    ['an empty body', (request, response) => reply(response, 200, ''), 'not JSON'],
    ['one member twice', (request, response) => reply(response, 200, '{"access_token":"a","access_token":"b"}'), 'not JSON'],
    ['no token', (request, response) => reply(response, 200, {}), 'members are missing'],
    ['a redirect', (request, response) => reply(response, 302, '', { location: 'https://elsewhere.example/' }), 'not JSON'],
    ['a huge body', (request, response) => reply(response, 200, `"${'x'.repeat(4 * 1024 * 1024)}"`), 'too large'],
    ['an unknown error', error(400, 'out_of_coffee'), 'an error code that means nothing here'],
  ]) {
    test(`${what} for a reply: 502`, async () => assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail })));
  }

  // What the server would say if all were well, around this token, with `changes`.
  const giving = (token, changes = {}) => async (request, response, body) => {
    const form = new URLSearchParams(body.toString());
    const access_token = await token(form);
    reply(response, 200, { access_token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, ...changes });
  };
  const sound = (form) => delegationToken(stack, form);
  const seconds = () => Math.floor(Date.now() / 1000);

  for (const [what, claims, reason, detail] of [
    ['for another user', () => ({ sub: JOHN.user }), 'exchange_bad_reply', 'the token is for another subject'],
    ['for the user in other letters', () => ({ sub: SARAH.user.toUpperCase() }), 'exchange_bad_reply', 'the token is for another subject'],
    ['with another scope', () => ({ scope: 'ledger:UpdateAccount' }), 'exchange_bad_reply', 'it has scopes that were not asked for'],
    ['with one scope more', () => ({ scope: 'ledger:ListAccounts ledger:ReadPII' }), 'exchange_bad_reply', 'it has scopes that were not asked for'],
    ['without a scope', () => ({ scope: undefined }), 'exchange_bad_reply', 'it lacks the scope'],
    ['of another actor', () => ({ act: { sub: 'somebody-else' } }), 'exchange_bad_reply', 'the token does not name this gateway as the actor'],
    ['of another actor, through this one', () => ({ act: { sub: 'somebody-else', act: { sub: GATEWAY } } }), 'exchange_bad_reply', 'the token does not name this gateway as the actor'],
    ['of no actor', () => ({ act: undefined }), 'exchange_bad_reply', 'the token does not name this gateway as the actor'],
    ['that lives an hour', () => ({ exp: seconds() + 3600 }), 'exchange_bad_token', 'lifetime_too_long'],
    ['for another service', () => ({ aud: 'https://elsewhere.example/' }), 'exchange_bad_token', 'wrong_audience'],
    ['for another service too', () => ({ aud: [LEDGER, 'https://elsewhere.example/'] }), 'exchange_bad_token', 'wrong_audience'],
    ['of another issuer', () => ({ iss: 'https://elsewhere.example' }), 'exchange_bad_token', 'wrong_issuer'],
    ['that has expired', () => ({ iat: seconds() - 60, exp: seconds() - 55 }), 'exchange_bad_token', 'expired'],
    ['from the future', () => ({ iat: seconds() + 3600, exp: seconds() + 3605 }), 'exchange_bad_token', 'issued_in_future'],
    ['that is bound to a key', () => ({ cnf: { jkt: 'abc' } }), 'exchange_bad_token', 'sender_constrained'],
  ]) {
    test(`a token ${what}, well signed: 502`, async () => {
      assertNoUsableToken(await refused(giving((form) => delegationToken(stack, form, claims())), { reason, detail }));
      await logged(stack, new RegExp(`\\[error\\].*token exchange: ${reason} ${detail}`));
    });
  }

  test('C04: a token that outlives the caller\'s, well signed: 502', async () => {
    const exp = seconds() + 8; // near, so that five seconds lead past it; the leeway is five more
    const script = giving((form) => delegationToken(stack, form, { iat: exp - 4, exp: exp + 1 }));
    assertNoUsableToken(await refused(script, { inbound: { exp }, reason: 'exchange_bad_reply', detail: "the token outlives the caller's" }));
  });

  const claimsFor = (form) => ({
    aud: form.get('audience'), scope: form.get('scope'), client_id: GATEWAY, may_act: undefined, act: { sub: GATEWAY }, exp: seconds() + 5,
  });
  const forged = (form, header, how) => new Mint(stack).token(claimsFor(form), header, how);
  const itsKey = () => readJson(stack.keys.authorizationServer).jwks.keys.find(({ alg }) => alg === 'ES256');
  for (const [what, token, detail] of [
    ['without a signature (alg none)', (form) => forged(form, { alg: 'none', kid: undefined }, { signature: () => '' }), 'unsupported_algorithm'],
    ['by HS256 with the public key', (form) => new Mint(stack).hs256(claimsFor(form)), 'unsupported_algorithm'],
    ['whose signature is cut off', async (form) => (await sound(form)).replace(/[^.]*$/, ''), 'bad_signature'],
    ['by another key under the name of its own', async (form) => delegationToken(stack, form, {}, { ...await signingKey('ES256'), kid: itsKey().kid }), 'bad_signature'],
    ['by a key that nobody knows', async (form) => delegationToken(stack, form, {}, await signingKey('ES256')), 'unknown_key'],
    ['that brings its own key', (form) => forged(form, { jwk: { kty: 'oct', k: 'AAAA' } }), 'forbidden_header'],
    ['that is an ID token', (form) => forged(form, { typ: 'JWT' }), 'wrong_type'],
    ['that is opaque', () => 'opaque', 'not_compact'],
    ['of 20 kB', () => 'x'.repeat(20_000), 'too_long'],
  ]) {
    test(`a token ${what}: 502`, async () => {
      assertNoUsableToken(await refused(giving(token), { reason: 'exchange_bad_token', detail }));
    });
  }

  test('the caller\'s own token: 502', async () => {
    const script = giving((form) => form.get('subject_token'));
    assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail: "the caller's own token came back" }));
  });

  // The token itself is sound.
  for (const [what, changes, detail] of [
    ['token_type N_A', { token_type: 'N_A' }, 'the token is not a bearer token'],
    ['token_type DPoP', { token_type: 'DPoP' }, 'the token is not a bearer token'],
    ['no token_type', { token_type: undefined }, 'members are missing'],
    ['another issued_token_type', { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, 'another type of token was issued'],
    ['no issued_token_type', { issued_token_type: undefined }, 'another type of token was issued'],
    ['a longer life', { expires_in: 3600 }, 'it lives longer than the rule allows'],
    ['no life', { expires_in: 0 }, 'its life is over'],
    ['a life that ran backwards', { expires_in: -5 }, 'members are missing'],
    ['a wider scope', { scope: 'ledger:ListAccounts ledger:ReadPII' }, 'it has scopes that were not asked for'],
    ['another scope', { scope: 'ledger:ReadPII' }, 'it has scopes that were not asked for'],
    ['a token that is two header lines', { access_token: 'token\r\nx-user: root' }, 'the token is none'],
  ]) {
    test(`a reply that says ${what}: 502`, async () => {
      assertNoUsableToken(await refused(giving(sound, changes), { reason: 'exchange_bad_reply', detail }));
    });
  }

  test('a reply that says the right scope of a token with a wider one: 502', async () => {
    const wider = (form) => delegationToken(stack, form, { scope: `${form.get('scope')} ledger:ReadPII` });
    const script = giving(wider, { scope: 'ledger:ListAccounts' });
    assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail: 'it has scopes that were not asked for' }));
  });

  // A good reply, wrapped; a lenient reader would find it.
  for (const [what, wrap, detail] of [
    ['in a page of HTML', (good) => `<!doctype html><script>token = ${good}</script>`, 'not JSON'],
    ['that stands there twice', (good) => `${good}${good}`, 'not JSON'],
    ['with access_token twice', (good) => good.replace('{', '{"access_token":"first",'), 'not JSON'],
    ['with access_token once more, in escapes', (good) => good.replace('{', '{"\\u0061ccess_token":"first",'), 'not JSON'],
    ['after a byte order mark', (good) => `\ufeff${good}`, 'not JSON'],
    ['in a list', (good) => `[${good}]`, 'not an object'],
    ['as a list', (good) => JSON.stringify(Object.values(JSON.parse(good))), 'not an object'],
    ['before much white space', (good) => good + ' '.repeat(100_000), 'too large'],
  ]) {
    test(`a good reply ${what}: 502`, async () => {
      const script = async (request, response, body) => reply(response, 200, wrap(await goodReply(body)));
      assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail }));
    });
  }
  const goodReply = async (body) => JSON.stringify({
    access_token: await sound(new URLSearchParams(body.toString())), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, scope: 'ledger:ListAccounts',
  });

  for (const status of [201, 203, 302, 307, 400]) {
    test(`a good reply under status ${status}, which leads on to another: 502, and nobody follows`, async () => {
      const paths = [];
      const script = async (request, response, body) => {
        paths.push(request.url);
        const json = { 'content-type': 'application/json' };
        if (request.url !== '/token') return reply(response, 200, await goodReply(body), json);
        return reply(response, status, await goodReply(body), { ...json, location: '/elsewhere' });
      };
      assertNoUsableToken(await refused(script, { reason: 'exchange_bad_reply', detail: 'an error without a code' }));
      assert.deepEqual(paths, ['/token']);
    });
  }

  test('a good reply that trickles in for longer than the timeout: retry later', async () => {
    const script = async (request, response, body) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const trickle = setInterval(() => response.write(' '), 50);
      response.once('close', () => clearInterval(trickle));
      response.write(await goodReply(body));
    };
    assertRetryLater(await refused(script, { reason: 'exchange_no_answer' }));
  });

  test('what the scripted server signs as it should is used', async () => {
    scripted.script = giving(sound);
    const { token } = inboundToken(stack);
    assert.equal((await call(stack, token)).status, 200);
  });

  test('C10: a cluster that Envoy does not know: 503 at once, and an error in its log', async () => {
    const edit = { 'filter.yaml': (text) => text.replace('"cluster": "authorization_server"', '"cluster": "nowhere"') };
    assert.equal(await stack.reconfigure({ edit }), 'accepted');
    assertRetryLater(await refused(scripted.passOn, { reason: 'exchange_unreachable' }));
    await logged(stack, /\[error\].*token exchange: cluster `nowhere`/);
    assert.equal(await stack.reconfigure({}), 'accepted');
    const { token } = inboundToken(stack);
    assert.equal((await call(stack, token)).status, 200);
  });
});

function assertRetryLater({ status, headers, message }) {
  assert.equal(status, 503);
  assert.equal(headers['retry-after'], '1');
  assert.equal(message.error.code, -32603);
  assert.equal(message.id, 7);
}

function assertNoUsableToken({ status, headers, message }) {
  assert.equal(status, 502);
  assert.deepEqual(message, { jsonrpc: '2.0', id: 7,
    error: { code: -32603, message: 'The authorization server gave no usable delegation token.' } });
  assert.equal(headers['www-authenticate'], undefined);
}
