import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT, generateKeyPair } from 'jose';
import { until } from '../process.mjs';
import { ACCESS_TOKEN, exchange, inboundToken, JOHN, LEDGER, RESOURCE, SARAH, startServices, tokenRequest } from './services.mjs';

let services;
let sarah;
let john;

before(async () => {
  services = await startServices();
  sarah = (await inboundToken(services, SARAH, 'mcp:connect pii:read')).access_token;
  john = (await inboundToken(services, JOHN, 'mcp:connect')).access_token;
});
after(() => services?.stop());

const refused = async (parameters, status, error, headers) => {
  const { status: got, body } = await exchange(services, parameters, headers);
  assert.deepEqual([got, body.error, body.access_token], [status, error, undefined]);
};

test('publishes RFC 8414 metadata, open to browsers', async () => {
  const response = await fetch(`${services.issuer}/.well-known/oauth-authorization-server`, { headers: { origin: 'http://localhost:6274' } });
  const metadata = await response.json();
  assert.equal(metadata.issuer, services.issuer);
  assert.ok(metadata.grant_types_supported.includes('urn:ietf:params:oauth:grant-type:token-exchange'));
  assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
  assert.ok(metadata.registration_endpoint);
  assert.equal(response.headers.get('access-control-allow-origin'), 'http://localhost:6274');
  const { keys } = await (await fetch(metadata.jwks_uri)).json();
  assert.ok(keys.every((key) => !key.d));
});

test('an inbound token is for the gateway, carries what was asked for, and lets only the gateway act', () => {
  const claims = decodeJwt(sarah);
  assert.equal(decodeProtectedHeader(sarah).typ, 'at+jwt');
  assert.equal(decodeProtectedHeader(sarah).alg, 'RS256');
  assert.deepEqual([claims.sub, claims.aud, claims.scope, claims.client_id], [SARAH.user, RESOURCE, 'mcp:connect pii:read', 'mcp-client-cli']);
  assert.deepEqual(claims.may_act, { sub: 'ai-identity-gateway' });
  assert.equal(claims.exp - claims.iat, 600);
});

test('a user gets the scopes that he may have and no others', async () => {
  const tokens = await inboundToken(services, JOHN, 'mcp:connect pii:read audit:read');
  assert.equal(decodeJwt(tokens.access_token).scope, 'mcp:connect');
  assert.equal(tokens.refresh_token, undefined);
});

test('a wrong password is refused', async () => {
  await assert.rejects(inboundToken(services, { ...SARAH, password: 'yippiekayay' }, 'mcp:connect'), /failed with status 401/);
  await assert.rejects(inboundToken(services, { user: 'constructor', password: '' }, 'mcp:connect'), /failed with status 401/);
});

test('PKCE is required', async () => {
  const url = `${services.issuer}/auth?${new URLSearchParams({ client_id: 'mcp-client-cli', response_type: 'code',
    redirect_uri: 'http://127.0.0.1:19876/callback', scope: 'mcp:connect' })}`;
  const location = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location'));
  assert.equal(location.searchParams.get('error'), 'invalid_request');
});

test('a client registers itself, steps up, and its registered scope is no limit', async () => {
  const response = await fetch(`${services.issuer}/reg`, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'Claude Code', redirect_uris: ['http://localhost:54545/callback'], token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], scope: 'mcp:connect' }) });
  const { client_id: client } = await response.json();
  assert.equal(response.status, 201);
  for (const scope of ['mcp:connect', 'mcp:connect pii:read']) {
    const tokens = await inboundToken(services, SARAH, scope, { client, callback: 'http://localhost:61111/callback' });
    assert.equal(decodeJwt(tokens.access_token).scope, scope);
    assert.equal(decodeJwt(tokens.access_token).client_id, client);
  }
});

test('a client that registers itself gets no token without a user', async () => {
  const register = (metadata) => fetch(`${services.issuer}/reg`, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: ['http://localhost:54545/callback'], response_types: ['code'], ...metadata }) });
  const exchangeType = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const client = await (await register({ grant_types: ['authorization_code', 'client_credentials', exchangeType] })).json();
  assert.deepEqual(client.grant_types, ['authorization_code']);
  const own = { authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` };
  for (const parameters of [{ grant_type: 'client_credentials', resource: RESOURCE, scope: 'pii:read' }, { grant_type: exchangeType, subject_token: sarah, subject_token_type: ACCESS_TOKEN }]) {
    const { status, body } = await tokenRequest(services, parameters, own);
    assert.deepEqual([status, body.access_token], [400, undefined]);
  }
  assert.equal((await register({ grant_types: 'client_credentials' })).status, 400);
});

test('nobody signs in for the ledger', async () => {
  const url = `${services.issuer}/auth?${new URLSearchParams({ client_id: 'mcp-client-cli', response_type: 'code', code_challenge_method: 'S256',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', redirect_uri: 'http://127.0.0.1:19876/callback', scope: 'ledger:ReadPII', resource: LEDGER })}`;
  const location = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location'));
  assert.equal(location.searchParams.get('error'), 'invalid_target');
});

test('an exchange gives one scope, one audience, five seconds, the user and the gateway', async () => {
  const { status, headers, body } = await exchange(services, { subject_token: sarah });
  assert.equal(status, 200);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.deepEqual({ ...body, access_token: '' }, { access_token: '', issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, scope: 'ledger:ListAccounts' });
  const { payload, protectedHeader } = await jwtVerify(body.access_token, createRemoteJWKSet(new URL('/jwks', services.issuer)),
    { issuer: services.issuer, audience: LEDGER, typ: 'at+jwt' });
  assert.equal(protectedHeader.alg, 'ES256');
  assert.ok(payload.jti);
  assert.deepEqual([payload.sub, payload.act, payload.aud, payload.scope, payload.client_id, payload.exp - payload.iat],
    [SARAH.user, { sub: 'ai-identity-gateway' }, LEDGER, 'ledger:ListAccounts', 'ai-identity-gateway', 5]);
});

test('ledger:ReadPII takes pii:read in the subject token', async () => {
  assert.equal((await exchange(services, { subject_token: sarah, scope: 'ledger:ReadPII' })).status, 200);
  await refused({ subject_token: john, scope: 'ledger:ReadPII' }, 400, 'invalid_scope');
  await refused({ subject_token: sarah, scope: 'ledger:ReadAudit' }, 400, 'invalid_scope');
});

test('the gateway may present its own token as actor', async () => {
  const { body: own } = await tokenRequest(services, { grant_type: 'client_credentials' }, services.gateway);
  assert.equal(decodeJwt(own.access_token).aud, services.issuer);
  const { body } = await exchange(services, { subject_token: sarah, actor_token: own.access_token, actor_token_type: ACCESS_TOKEN });
  assert.deepEqual(decodeJwt(body.access_token).act, { sub: 'ai-identity-gateway' });
});

test('the gateway gets no token for its own front door', async () => {
  const { body } = await tokenRequest(services, { grant_type: 'client_credentials', resource: RESOURCE, scope: 'pii:read' }, services.gateway);
  assert.equal(body.error, 'invalid_target');
});

test('bad exchanges are refused', async (t) => {
  const { body: { access_token: delegation } } = await exchange(services, { subject_token: sarah });
  const { privateKey } = await generateKeyPair('RS256');
  const forged = await new SignJWT(decodeJwt(sarah)).setProtectedHeader(decodeProtectedHeader(sarah)).sign(privateKey);
  const cases = [
    ['no subject', {}, 400, 'invalid_request'],
    ['no scope', { subject_token: sarah, scope: '' }, 400, 'invalid_scope'],
    ['two scopes', { subject_token: sarah, scope: 'ledger:ListAccounts ledger:GetAccount' }, 400, 'invalid_scope'],
    ['an inbound scope', { subject_token: sarah, scope: 'pii:read' }, 400, 'invalid_scope'],
    ['an inherited name as scope', { subject_token: sarah, scope: 'constructor' }, 400, 'invalid_scope'],
    ['another audience', { subject_token: sarah, audience: 'https://evil.example/' }, 400, 'invalid_target'],
    ['two audiences', { subject_token: sarah, resource: RESOURCE }, 400, 'invalid_target'],
    ['a delegation token as subject', { subject_token: delegation }, 400, 'invalid_request'],
    ['a forged subject', { subject_token: forged }, 400, 'invalid_request'],
    ['garbage as subject', { subject_token: 'a.b.c' }, 400, 'invalid_request'],
    ['a wrong subject type', { subject_token: sarah, subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }, 400, 'invalid_request'],
    ['a user as actor', { subject_token: sarah, actor_token: john, actor_token_type: ACCESS_TOKEN }, 400, 'invalid_request'],
    ['an actor without its type', { subject_token: sarah, actor_token: john }, 400, 'invalid_request'],
    ['a wrong secret', { subject_token: sarah }, 401, 'invalid_client', { authorization: `Basic ${btoa('ai-identity-gateway:no')}` }],
    ['no secret', { subject_token: sarah, client_id: 'ai-identity-gateway' }, 401, 'invalid_client', {}],
    ['a client that may not exchange', { subject_token: sarah, client_id: 'mcp-client-cli' }, 400, 'invalid_request', {}],
  ];
  for (const [name, parameters, status, error, headers] of cases) {
    await t.test(name, () => refused(parameters, status, error, headers));
  }
});

test('every exchange is one line on stdout, without tokens', async () => {
  const before = services.events.length;
  await exchange(services, { subject_token: sarah });
  const [event] = await until(() => services.events.slice(before).length && services.events.slice(before), 'the event');
  assert.deepEqual(event, { event: 'exchange', client: 'ai-identity-gateway', grant: 'urn:ietf:params:oauth:grant-type:token-exchange',
    sub: SARAH.user, scope: 'ledger:ListAccounts', audience: LEDGER, status: 200 });
});

test('who is signed in already continues with a button', async () => {
  const jar = new Map();
  const browse = async (url, init = {}) => {
    const response = await fetch(new URL(url, services.issuer), { ...init, redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } });
    for (const line of response.headers.getSetCookie()) jar.set(...line.split(';')[0].split(/=(.*)/s).slice(0, 2));
    return response;
  };
  const location = (response) => response.headers.get('location');
  const start = `/auth?${new URLSearchParams({ client_id: 'mcp-client-cli', response_type: 'code', code_challenge_method: 'S256',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', redirect_uri: 'http://127.0.0.1:19876/callback', scope: 'mcp:connect' })}`;
  const form = new URLSearchParams({ login: SARAH.user, password: SARAH.password });

  const page = location(await browse(start));
  const resumed = await browse(location(await browse(page, { method: 'POST', body: form })));
  assert.match(location(resumed), /callback\?code=/);

  const second = location(await browse(start.replace('mcp%3Aconnect', 'mcp%3Aconnect+pii%3Aread')));
  assert.match(await (await browse(second)).text(), /go on as <strong>sarah\.connor@orchestrator\.lab/);
  const again = await browse(location(await browse(second, { method: 'POST', body: new URLSearchParams() })));
  assert.match(location(again), /callback\?code=/);
});
