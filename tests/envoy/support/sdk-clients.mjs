// Both generations of the official client, behind one face: a person who signs in when the server asks.
import { createRequire } from 'node:module';
import { HeadlessOAuthProvider } from '../../../demo/client/oauth-provider.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require('@modelcontextprotocol/client');

export { SignedInClient as EarlierClient } from '../../../demo/client/client.mjs';

/** The client of revision 2026-07-28. */
export class CurrentClient {
  #client = new Client({ name: 'deputy-test-client', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  #transport;
  #provider;

  static async connect(url, credentials, report = () => {}) {
    const client = new CurrentClient();
    client.#provider = new HeadlessOAuthProvider(credentials, report);
    await client.#signingIn(() => {
      client.#transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: client.#provider });
      return client.#client.connect(client.#transport);
    });
    return client;
  }

  listTools() { return this.#signingIn(() => this.#client.listTools()); }

  callTool(name, args = {}) { return this.#signingIn(() => this.#client.callTool({ name, arguments: args })); }

  get accessToken() { return this.#provider.tokens()?.access_token; }

  close() { return this.#client.close(); }

  async #signingIn(request) {
    try {
      return await request();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      await this.#transport.finishAuth(this.#provider.takeCallback());
      return request();
    }
  }
}
