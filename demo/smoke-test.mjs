// Is the stack that `make up` started healthy? Run by `make smoke-test`, or with the gateway's URL as argument.
import assert from 'node:assert/strict';
import { SignedInClient } from './client/client.mjs';
import { step } from './narrator.mjs';
import { SARAH } from './people.mjs';
import { friendlyPorts } from './ports.mjs';

const url = process.argv[2] ?? `http://127.0.0.1:${friendlyPorts.gateway}/mcp`;

try {
  const metadataUrl = await step(`${url} challenges a request without a token.`, async () => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }) });
    assert.equal(response.status, 401);
    const [, location] = /resource_metadata="([^"]+)"/.exec(response.headers.get('www-authenticate')) ?? [];
    assert.ok(location, 'the challenge names the metadata document');
    return location;
  });

  await step('The protected resource metadata is served.', async (show) => {
    const metadata = await (await fetch(metadataUrl)).json();
    assert.equal(metadata.resource, url);
    assert.ok(metadata.authorization_servers.length);
    show(`authorization server ${metadata.authorization_servers}`);
  });

  await step('Sarah signs in and lists the accounts.', async (show) => {
    const client = await SignedInClient.connect(url, SARAH);
    const { structuredContent } = await client.callTool('listAccounts');
    await client.close();
    assert.ok(structuredContent.accounts.length);
    show(`${structuredContent.accounts.length} accounts`);
  });
} catch (error) {
  console.error(error.cause?.code === 'ECONNREFUSED' ? `Nothing listens at ${url}; \`make up\` starts the stack.` : error.message);
  process.exitCode = 1;
}
