// The gateway's secret changes while calls go on, as Vault Agent would change it: a new file, moved into the place of the old one.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { basicCredential, envoySecret, GATEWAY, readJson, writeAtomically } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call } from './support/client.mjs';
import { atRest, logged, statistic } from './support/records.mjs';
import { reply, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { inboundToken } from './support/tokens.mjs';

const TEMPLATE = new URL('../../deploy/vault-agent/gateway-secret.yaml.ctmpl', import.meta.url);

let stack;
let scripted;
let accepted; // the credentials that the authorization server accepts
const seen = []; // those that it was shown

before(async () => {
  ({ stack, scripted } = await startScriptedStack());
  const real = basicCredential(readJson(stack.keys.gatewayClient));
  accepted = [real];
  scripted.script = async (request, response, body) => {
    const { authorization } = request.headers;
    seen.push(authorization);
    if (!accepted.includes(authorization)) return reply(response, 401, { error: 'invalid_client' });
    request.headers.authorization = real;
    return scripted.passOn(request, response, body);
  };
});
after(() => stack?.stop());

const newClient = () => ({ client_id: GATEWAY, client_secret: `${randomBytes(16).toString('base64url')} +&:%"\\ü~*` });

/** What Vault Agent makes of the template, whose only expressions are these. */
function rendered(client) {
  const start = '{{- with secret "secret/data/deputy" -}}\n';
  const credential = '{{ printf "%s:%s" (urlquery .Data.data.client_id) (urlquery .Data.data.client_secret) | base64Encode }}';
  const end = '{{ end -}}\n';
  const template = readFileSync(TEMPLATE, 'utf8');
  assert.ok(template.startsWith(start) && template.endsWith(end));
  const text = template.slice(start.length, -end.length).replace(`Basic ${credential}`, () => basicCredential(client));
  assert.doesNotMatch(text, /\{\{/);
  return text;
}

/** Calls one after another, each under a token of its own and so by an exchange of its own. */
function callers(count) {
  const statuses = [];
  let running = true;
  const loops = Array.from({ length: count }, async () => {
    while (running) {
      const { token } = inboundToken(stack);
      statuses.push(await call(stack, token).then(({ status }) => status, (error) => error.message));
    }
  });
  return { statuses, async stop() { running = false; await Promise.all(loops); } };
}

test('the template of deploy/vault-agent gives the file that Envoy reads', () => {
  const client = newClient();
  assert.equal(rendered(client), envoySecret(client));
});

test('three new secrets while calls go on: no call fails', async () => {
  const calls = callers(4);
  try {
    // Twenty exchanges more, the last of which all came under the credential that counts.
    const twentyUnder = async (credential, what) => {
      const from = seen.length;
      await until(() => seen.length - from >= 20 && seen.slice(-20).every((shown) => shown === credential), what);
    };
    await twentyUnder(accepted[0], 'calls');
    for (let i = 0; i < 3; i += 1) {
      const client = newClient();
      const credential = basicCredential(client);
      accepted.push(credential);
      writeAtomically(stack.keys.gatewaySecret, rendered(client), 0o600);
      await twentyUnder(credential, 'the new secret in use');
      accepted.shift();
      await twentyUnder(credential, 'calls under the new secret alone');
    }
  } finally {
    await calls.stop();
  }
  assert.deepEqual([...new Set(calls.statuses)], [200]);
  assert.equal(new Set(seen).size, 4);
  await atRest(stack);
});

for (const [what, text] of [
  ['is cut off in the secret', (whole) => whole.slice(0, -10)],
  ['holds a secret of another name', (whole) => whole.replace('gateway-client-secret', 'another')],
]) {
  test(`a file that ${what} leaves the old secret in use`, async () => {
    const refused = () => statistic(stack, 'sds.gateway-client-secret.update_(failure|rejected)');
    const before = await refused();
    writeAtomically(stack.keys.gatewaySecret, text(rendered(newClient())), 0o600);
    await until(async () => await refused() > before, 'a refusal');
    const { token } = inboundToken(stack);
    assert.equal((await call(stack, token)).status, 200);
  });
}

test('a file without a secret: nothing is asked without one, and the client is told to retry', async () => {
  const empty = envoySecret(newClient()).replace(/generic_secret:[^]*/, 'generic_secret: {}\n');
  writeAtomically(stack.keys.gatewaySecret, empty, 0o600);
  await until(async () => (await call(stack, inboundToken(stack).token)).status === 503, 'the empty file in use');
  assert.ok(seen.every(Boolean));
  await logged(stack, /\[error\].*token exchange: exchange_unreachable/);

  const client = newClient();
  accepted = [basicCredential(client)];
  writeAtomically(stack.keys.gatewaySecret, rendered(client), 0o600);
  await until(async () => (await call(stack, inboundToken(stack).token)).status === 200, 'the new secret in use');
});
