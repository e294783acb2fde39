// The authorization server `authgent-server`, in a process of its own: people sign in there, and Deputy exchanges there.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../../demo/keys.mjs';
import { freePort, startProcess, until } from '../../../demo/process.mjs';

const SERVER = join(root, 'target/tools/authgent/bin/authgent-server');
const CALLBACK = 'http://127.0.0.1:19876/callback';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Starts it with its database in `directory`. `scopes` are those that this gateway may ask for there. */
export async function startAuthgent(directory, { scopes }) {
  if (!existsSync(SERVER)) throw new Error(`${SERVER} is missing; \`make clients\` installs it`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    AUTHGENT_SECRET_KEY: randomBytes(32).toString('hex'),
    AUTHGENT_DATABASE_URL: `sqlite+aiosqlite:///${join(directory, 'authgent.db')}`,
    AUTHGENT_SERVER_URL: url,
    AUTHGENT_EXCHANGE_TOKEN_TTL: '5',
    AUTHGENT_CLIENT_CREDENTIALS_TTL: '1',
    AUTHGENT_TOKEN_RATE_LIMIT: '10000',
  };
  const server = startProcess(SERVER, ['run', '--host', '127.0.0.1', '--port', String(port)], { env, log: join(directory, 'authgent.log') });
  try {
    await until(async () => (await fetch(`${url}/health`)).ok, 'authgent', { seconds: 60, unless: server.exited });
    const register = (metadata) => json(`${url}/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(metadata) });
    const gateway = await register({ client_name: 'Deputy', grant_types: [TOKEN_EXCHANGE], scope: scopes.join(' ') });
    const person = await register({ client_name: 'A person\'s client', grant_types: ['authorization_code'], redirect_uris: [CALLBACK] });
    const machine = await register({ client_name: 'A machine', grant_types: ['client_credentials'] });
    return new Authgent(server, url, { gateway, person, machine });
  } catch (error) {
    await server.stop();
    throw error;
  }
}

class Authgent {
  #server;

  constructor(server, url, { gateway, person, machine }) {
    this.#server = server;
    Object.assign(this, { url, gateway, person, machine });
  }

  stop() { return this.#server.stop(); }

  jwks() { return json(`${this.url}/.well-known/jwks.json`); }

  /** An access token of the only person there, for `resource`: by code and PKCE, consent included. */
  async signIn(resource, scope) {
    const verifier = randomBytes(32).toString('base64url');
    const { client_id } = this.person;
    const url = new URL('/authorize', this.url);
    url.search = new URLSearchParams({
      response_type: 'code', client_id, redirect_uri: CALLBACK, scope, resource,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
    });
    const { headers } = await fetch(url, { redirect: 'manual' });
    const code = new URL(headers.get('location')).searchParams.get('code');
    return this.#token({ grant_type: 'authorization_code', client_id, code, code_verifier: verifier, redirect_uri: CALLBACK });
  }

  /** An access token of a machine's own, which lives for a second. */
  machineToken(resource, scope) {
    const { client_id, client_secret } = this.machine;
    return this.#token({ grant_type: 'client_credentials', client_id, client_secret, resource, scope });
  }

  async revoke(token) {
    const { client_id, client_secret } = this.person;
    await json(`${this.url}/revoke`, { method: 'POST', body: new URLSearchParams({ token, client_id, client_secret }) });
  }

  async #token(form) {
    return (await json(`${this.url}/token`, { method: 'POST', body: new URLSearchParams(form) })).access_token;
  }
}

async function json(url, init) {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}
