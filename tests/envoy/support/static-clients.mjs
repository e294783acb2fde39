// Four official clients that carry a token in a header, as scripts and agents without a person do. Each makes `calls`
// ([tool, arguments]) in one session and tells what the model would read: `{ read: [text], ended }`, `ended` if the
// session did before the last call was answered.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { root } from '../../../demo/keys.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));

const typescript = (modules, options) => async (url, token, calls) => {
  const { Client, StreamableHTTPClientTransport } = Object.assign({}, ...modules.map(require));
  const client = new Client({ name: 'deputy-test-client', version: '1.0.0' }, options);
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  const read = [];
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  } catch (error) {
    return { read, ended: error.message };
  }
  for (const [name, args] of calls) {
    read.push(await client.callTool({ name, arguments: args }).then(({ content }) => content[0].text, (error) => error.message));
  }
  await client.close();
  return { read };
};

const python = (venv) => async (url, token, calls) => {
  const interpreter = join(root, 'target/tools', venv, 'bin/python');
  const path = fileURLToPath(new URL('mcp_client.py', import.meta.url));
  const { stdout } = await promisify(execFile)(interpreter, [path, url, token, JSON.stringify(calls)], { timeout: 30_000 });
  return JSON.parse(stdout);
};

export const CLIENTS = {
  'TypeScript 1.32': typescript(['@modelcontextprotocol/sdk/client/index.js', '@modelcontextprotocol/sdk/client/streamableHttp.js']),
  'TypeScript 2.4': typescript(['@modelcontextprotocol/client'], { versionNegotiation: { mode: 'auto' } }),
  'Python 1.30': python('mcp-1'),
  'Python 2.3': python('mcp-2'),
};
