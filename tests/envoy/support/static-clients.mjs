// Official clients, and mcp-remote, that carry a token in a header, as agents without a person do. Each makes `calls`
// ([tool, arguments]) in one session and tells what the model would read: `{ read: [text], ended }`, `ended` if the
// session did before the last call was answered.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { root } from '../../../demo/keys.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));
const NAME = { name: 'deputy-test-client', version: '1.0.0' };

const typescript = (modules, options) => (url, token, calls) => {
  const { Client, StreamableHTTPClientTransport } = Object.assign({}, ...modules.map(require));
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  return make(calls, new Client(NAME, options), new StreamableHTTPClientTransport(new URL(url), { requestInit }));
};

/** The bridge for programs that speak stdio alone. Such a program is the official client of TypeScript 1.32 here. */
async function remote(url, token, calls) {
  const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
  const { StdioClientTransport, getDefaultEnvironment } = require('@modelcontextprotocol/sdk/client/stdio.js');
  const MCP_REMOTE_CONFIG_DIR = mkdtempSync(join(tmpdir(), 'deputy-mcp-remote-'));
  const program = join(root, 'demo/node_modules/mcp-remote/dist/proxy.js');
  const args = [program, url, '--transport', 'http-only', '--header', `Authorization: Bearer ${token}`];
  const env = { ...getDefaultEnvironment(), MCP_REMOTE_CONFIG_DIR };
  try {
    return await make(calls, new Client(NAME), new StdioClientTransport({ command: process.execPath, args, env, stderr: 'ignore' }));
  } finally {
    rmSync(MCP_REMOTE_CONFIG_DIR, { recursive: true });
  }
}

async function make(calls, client, transport) {
  const read = [];
  try {
    await client.connect(transport);
  } catch (error) {
    return { read, ended: error.message };
  }
  for (const [name, args] of calls) {
    read.push(await client.callTool({ name, arguments: args }).then(({ content }) => content[0].text, (error) => error.message));
  }
  await client.close();
  return { read };
}

/** A client of its own process: it takes URL TOKEN CALLS and prints `{ read, ended }`. */
const executable = (command, ...args) => async (url, token, calls) => {
  const { stdout } = await promisify(execFile)(command, [...args, url, token, JSON.stringify(calls)], { timeout: 30_000 });
  return JSON.parse(stdout);
};

const python = (venv) =>
  executable(join(root, 'target/tools', venv, 'bin/python'), fileURLToPath(new URL('mcp_client.py', import.meta.url)));

export const CLIENTS = {
  'TypeScript 1.32': typescript(['@modelcontextprotocol/sdk/client/index.js', '@modelcontextprotocol/sdk/client/streamableHttp.js']),
  'TypeScript 2.4': typescript(['@modelcontextprotocol/client'], { versionNegotiation: { mode: 'auto' } }),
  'Python 1.30': python('mcp-1'),
  'Python 2.3': python('mcp-2'),
  'rmcp 3.9': executable(join(root, 'target/tools/rmcp/debug/deputy-rmcp-client')),
  'mcp-remote 0.15': remote,
};
