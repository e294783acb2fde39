// The authorization server and the ledger without a gateway between them, for tests of each.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHash, randomBytes } from 'node:crypto';
import { basicCredential, ensureKeys, readJson } from '../keys.mjs';
import { signIn } from '../client/sign-in.mjs';
import { TOKEN_EXCHANGE } from '../authorization-server/token-exchange.mjs';
import { startServer } from '../process.mjs';

export const RESOURCE = 'http://127.0.0.1:10000/mcp';
export const LEDGER = 'https://enterprise-ledger.orchestrator.lab/';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export { JOHN, SARAH } from '../people.mjs';

const script = (name) => fileURLToPath(new URL(`../${name}/server.mjs`, import.meta.url));

export async function startServices() {
  const state = mkdtempSync(join(tmpdir(), 'deputy-demo-'));
  const paths = await ensureKeys(state);
  const env = { STATE: state, RESOURCE, LOG: join(state, 'ledger.log') };
  const server = await startServer(script('authorization-server'), { env, log: join(state, 'authorization-server.out') });
  const ledger = await startServer(script('enterprise-ledger'), { env: { ...env, ISSUER: server.url }, log: join(state, 'ledger.out') });
  return {
    issuer: server.url,
    ledgerUrl: ledger.url,
    events: server.events,
    paths,
    gateway: { authorization: basicCredential(readJson(paths.gatewayClient)) },
    ledgerLog: () => readFileSync(env.LOG, 'utf8').trim().split('\n').map((line) => JSON.parse(line)),
    async stop() {
      await Promise.all([server.stop(), ledger.stop()]);
      rmSync(state, { recursive: true });
    },
  };
}

export async function inboundToken(services, credentials, scope, { client = 'mcp-client-cli', callback = 'http://127.0.0.1:34567/callback' } = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL('/auth', services.issuer);
  url.search = new URLSearchParams({
    client_id: client, response_type: 'code', redirect_uri: callback, scope, resource: RESOURCE, state: 'state',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  const answer = (await signIn(url, credentials)).searchParams;
  if (!answer.get('code')) throw new Error(`${answer}`);
  const { body } = await tokenRequest(services, {
    grant_type: 'authorization_code', client_id: client, code: answer.get('code'), redirect_uri: callback,
    code_verifier: verifier, resource: RESOURCE,
  });
  return body;
}

export async function tokenRequest({ issuer }, parameters, headers) {
  const response = await fetch(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(parameters) });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export const exchange = (services, parameters, headers = services.gateway) => tokenRequest(services, {
  grant_type: TOKEN_EXCHANGE, subject_token_type: ACCESS_TOKEN, audience: LEDGER, scope: 'ledger:ListAccounts', ...parameters,
}, headers);
