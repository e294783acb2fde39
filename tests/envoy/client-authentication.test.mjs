// How this gateway shows the authorization server who it is, where Envoy does not do it, and that its secrets stay in Envoy's environment.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { GATEWAY, signingKey, writeAtomically } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call } from './support/client.mjs';
import { auditOf, envoyLog, readablePlaces } from './support/records.mjs';
import { startScriptedStack } from './support/scripted-authorization-server.mjs';
import { decode, inboundToken } from './support/tokens.mjs';

const { createLocalJWKSet, jwtVerify } = createRequire(new URL('../../demo/package.json', import.meta.url))('jose');

// All that needs an encoding, in a form or in a header.
const SECRET = `${randomBytes(16).toString('hex')} a+b&c=d:e%20f/"g\\~`;
const POST = '{client_secret_post: {from_environment: CLIENT_SECRET}}';
const BASIC = '{client_secret_basic: {from_environment: CLIENT_SECRET}}';

// What openssl writes.
const rsa = Object.fromEntries(['pkcs8', 'pkcs1'].map((type) => [type, generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: { type, format: 'pem' } })]));
const pem = (type, options) => generateKeyPairSync(type, { ...options, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } }).privateKey;

let stack;
let scripted;
const keys = {};

before(async () => {
  Object.assign(keys, { ES256: await signingKey('ES256'), EdDSA: await signingKey('EdDSA'), stranger: await signingKey('ES256') });
  ({ stack, scripted } = await startScriptedStack({
    gateway: {
      // Envoy is started without an injector.
      set: { 'exchange.client_authentication': POST },
      env: { CLIENT_SECRET: SECRET, ES256_KEY: JSON.stringify(keys.ES256), EDDSA_KEY: JSON.stringify(keys.EdDSA), STRANGERS_KEY: JSON.stringify(keys.stranger),
        RSA_PKCS8_KEY: rsa.pkcs8.privateKey, RSA_PKCS1_KEY: rsa.pkcs1.privateKey, EC_PEM: pem('ec', { namedCurve: 'P-256' }), SHORT_PEM: pem('rsa', { modulusLength: 1024 }),
        BROKEN_PEM: rsa.pkcs8.privateKey.replace(/\n[^-\n]{4}/, '\nAAAA') },
    },
  }));
});
after(() => stack?.stop());

/** What the authorization server knows of this gateway, and how it authenticates from now on. */
async function use(client, authentication, more = {}) {
  writeAtomically(stack.keys.gatewayClient, JSON.stringify({ client_id: GATEWAY, ...client }), 0o600);
  await stack.stopAuthorizationServer();
  await stack.startAuthorizationServer();
  // Ends when every worker has it.
  const { code, stderr } = await stack.push({ set: { 'exchange.client_authentication': authentication, ...more } });
  assert.equal(code, 0, stderr);
}

/** The forms that a call leads to, all of which have done what they should. */
async function askedInCall() {
  const before = scripted.asked.length;
  const { token } = inboundToken(stack);
  assert.equal((await call(stack, token)).status, 200);
  return scripted.asked.slice(before);
}

const alarms = () => envoyLog(stack).match(/\[error\].*token exchange: exchange_client_rejected/g)?.length ?? 0;

async function clientRejected() {
  const { token, id } = inboundToken(stack);
  const [before, alarmsBefore] = [stack.ledgerRequests().length, alarms()];
  const answer = await call(stack, token);
  assert.equal(answer.status, 502);
  assert.doesNotMatch(answer.text, /client|secret|invalid/i);
  const [record] = await auditOf(stack, id);
  assert.equal(record.reason, 'exchange_client_rejected');
  await until(() => alarms() > alarmsBefore, 'an error in the log');
  assert.equal(stack.ledgerRequests().length, before);
}

test('client_secret_post: id and secret stand in the form', async () => {
  await use({ client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' }, POST);
  const [form] = await askedInCall();
  assert.deepEqual([form.getAll('client_id'), form.getAll('client_secret')], [[GATEWAY], [SECRET]]);
});

test('client_secret_basic: a secret with all kinds of characters arrives as it is, and not in the form', async () => {
  await use({ client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' }, BASIC);
  const [form] = await askedInCall();
  assert.deepEqual([form.has('client_id'), form.has('client_secret')], [false, false]);
});

const publicRsa = (type) => ({ ...rsa[type].publicKey.export({ format: 'jwk' }), kid: `rsa-${type}`, alg: 'RS256', use: 'sig' });
for (const [alg, variable, publicKey] of [
  ['ES256', 'ES256_KEY'], ['EdDSA', 'EDDSA_KEY'], ['RS256', 'RSA_PKCS8_KEY', publicRsa('pkcs8')], ['RS256', 'RSA_PKCS1_KEY', publicRsa('pkcs1')],
]) {
  test(`private_key_jwt by ${alg}, with ${variable}: each request has an assertion of its own`, async () => {
    const { d, ...key } = publicKey ?? keys[alg];
    const jwks = { keys: [key] };
    await use({ jwks, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg },
      `{private_key_jwt: {from_environment: ${variable}, audience: "${stack.authorizationServerUrl}"${publicKey ? `, key_id: ${key.kid}` : ''}}}`);
    const forms = [...await askedInCall(), ...await askedInCall()];
    assert.equal(forms.length, 2);
    const ids = new Set();
    for (const form of forms) {
      assert.equal(form.has('client_secret'), false);
      const { payload, protectedHeader } = await jwtVerify(form.get('client_assertion'), createLocalJWKSet(jwks));
      assert.equal(protectedHeader.kid, key.kid);
      const { iss, sub, aud, iat, exp, jti } = payload;
      assert.deepEqual([iss, sub, aud, exp - iat], [GATEWAY, GATEWAY, stack.authorizationServerUrl, 60]);
      ids.add(jti);
    }
    assert.equal(ids.size, 2);
  });
}

for (const variable of ['EC_PEM', 'SHORT_PEM', 'BROKEN_PEM']) {
  test(`private_key_jwt with ${variable}, by which Envoy cannot sign as RS256: refused at push, and the old configuration serves`, async () => {
    const set = { 'exchange.client_authentication': `{private_key_jwt: {from_environment: ${variable}, audience: "${stack.authorizationServerUrl}"}}` };
    assert.equal((await stack.push({ set })).code, 8);
    await until(() => /configuration refused: exchange\.client_authentication\.private_key_jwt: Envoy cannot sign by this key/.test(envoyLog(stack)), 'why, in the log');
    await askedInCall();
  });
}

test('private_key_jwt by a key that the server does not know: 502, and an error for the operator', async () => {
  const { d, ...publicKey } = keys.ES256;
  await use({ jwks: { keys: [publicKey] }, token_endpoint_auth_method: 'private_key_jwt' },
    `{private_key_jwt: {from_environment: STRANGERS_KEY, audience: "${stack.authorizationServerUrl}"}}`);
  await clientRejected();
});

test('none, where the server wants a secret: 502, and an error for the operator', async () => {
  await use({ client_secret: SECRET }, 'none');
  await clientRejected();
});

test('a token of this gateway\'s own as the actor_token: fetched once by a worker, and sent with each exchange', async () => {
  await use({ client_secret: SECRET }, BASIC, { 'exchange.actor_token': '{client_credentials: {}}' });
  const forms = [...await askedInCall(), ...await askedInCall(), ...await askedInCall(), ...await askedInCall()];
  const own = forms.filter((form) => form.get('grant_type') === 'client_credentials');
  assert.ok(own.length === 1 || own.length === 2, `${own.length} for two workers`);
  assert.equal(forms.length - own.length, 4);
  const actors = new Set();
  for (const form of forms) {
    if (own.includes(form)) continue;
    assert.equal(form.get('actor_token_type'), 'urn:ietf:params:oauth:token-type:access_token');
    const { sub, aud } = decode(form.get('actor_token'));
    assert.deepEqual([sub, aud], [GATEWAY, stack.authorizationServerUrl]);
    actors.add(form.get('actor_token'));
  }
  assert.equal(actors.size, own.length);
  assert.deepEqual(stack.exchanges().slice(-4).map(({ client, status }) => [client, status]), Array(4).fill([GATEWAY, 200]));
});

test('no secret and no private key is to be read in a log, in the configuration, or in what Envoy tells of itself', async () => {
  const encoded = (text) => new URLSearchParams({ _: text }).toString().slice(2);
  const basic = btoa(`${encoded(GATEWAY)}:${encoded(SECRET)}`);
  const secrets = [SECRET.split(' ')[0], basic, ...Object.values(keys).map(({ d }) => d), ...Object.values(rsa).map(({ privateKey }) => privateKey.split('\n')[3]), ...scripted.asked.flatMap((form) => {
    const texts = [form.get('client_assertion'), form.get('actor_token')];
    return texts.filter(Boolean).map((text) => text.split('.').at(-1));
  })];
  assert.ok(secrets.length > 10, 'there is something to look for');
  const places = await readablePlaces(stack);
  assert.match(Object.fromEntries(places)['admin /config_dump?include_eds'], /CLIENT_SECRET/, 'the name is there');
  for (const [place, text] of places) {
    for (const secret of secrets) assert.ok(!text.includes(secret), `${place} has ${secret.slice(0, 6)}…`);
  }
});
