// The SDK's OAuthClientProvider for someone who signs in without a browser. It keeps tokens in memory and
// reports each step; discovery, PKCE, the token request and step-up are the SDK's own.
import { randomUUID } from 'node:crypto';
import { signIn } from './sign-in.mjs';

export class HeadlessOAuthProvider {
  redirectUrl = 'http://127.0.0.1:19876/callback';
  clientMetadata = { client_name: 'MCP client (command line)', redirect_uris: [this.redirectUrl], token_endpoint_auth_method: 'none' };
  #credentials;
  #report;
  #client = { client_id: 'mcp-client-cli' };
  #tokens;
  #verifier;
  #state;
  #discovery;
  #callback;

  /** `credentials`: `{ user, password }`. `report` gets `{ step, ... }` as things happen. */
  constructor(credentials, report = () => {}) {
    this.#credentials = credentials;
    this.#report = report;
  }

  clientInformation() { return this.#client; }
  saveClientInformation(client) { this.#client = client; }

  state() { this.#state = randomUUID(); return this.#state; }

  codeVerifier() { return this.#verifier; }
  saveCodeVerifier(verifier) { this.#verifier = verifier; }

  discoveryState() { return this.#discovery; }
  saveDiscoveryState(discovery) {
    this.#discovery = discovery;
    this.#report({ step: 'metadata', ...discovery });
  }

  async redirectToAuthorization(url) {
    this.#report({ step: 'authorization request', scope: url.searchParams.get('scope'), resource: url.searchParams.get('resource'),
      challengeMethod: url.searchParams.get('code_challenge_method'), url });
    const answer = (await signIn(url, this.#credentials)).searchParams;
    if (answer.get('error')) throw new Error(`${answer.get('error')}: ${answer.get('error_description')}`);
    if (answer.get('state') !== this.#state) throw new Error('the callback carries another state');
    this.#callback = answer;
  }

  /** The parameters of the last sign-in's callback; good for one use. */
  takeCallback() {
    const callback = this.#callback;
    this.#callback = undefined;
    return callback;
  }

  tokens() { return this.#tokens; }
  saveTokens(tokens) {
    this.#tokens = tokens;
    this.#report({ step: 'token', scope: tokens.scope, expiresIn: tokens.expires_in });
  }
}
