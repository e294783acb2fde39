// A real MCP client (the official SDK) for a person who signs in when the server asks.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { HeadlessOAuthProvider } from './oauth-provider.mjs';

export class SignedInClient {
  #client = new Client({ name: 'deputy-demo-client', version: '1.0.0' });
  #transport;
  #provider;

  /** `report` gets the steps of the sign-in, and `{ step: 'refused', status, challenge, message }` for each 401 and 403. */
  static async connect(url, credentials, report = () => {}) {
    const client = new SignedInClient();
    const provider = new HeadlessOAuthProvider(credentials, report);
    client.#provider = provider;
    await client.#signingIn(() => {
      // A transport starts once, so a second attempt takes a new one.
      client.#transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider, fetch: reporting(report) });
      return client.#client.connect(client.#transport);
    });
    return client;
  }

  listTools() { return this.#signingIn(() => this.#client.listTools()); }

  callTool(name, args = {}) { return this.#signingIn(() => this.#client.callTool({ name, arguments: args })); }

  /** The inbound token, for showing its claims. */
  get accessToken() { return this.#provider.tokens()?.access_token; }

  close() { return this.#client.close(); }

  // The SDK sends the user off and stops; what remains is to bring the code back and ask again.
  async #signingIn(request) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      await this.#transport.finishAuth(this.#provider.takeCallback().get('code'));
      return request();
    }
  }
}

function reporting(report) {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (response.status === 401 || response.status === 403) {
      report({ step: 'refused', status: response.status, challenge: response.headers.get('www-authenticate'),
        message: await messageOf(response.clone()) });
    }
    return response;
  };
}

async function messageOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return undefined;
  }
}
