// What stands behind the gateway under test: another Envoy, which answers at once and is not the bottleneck.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENVOY } from '../../demo/gateway.mjs';
import { freePort, startProcess, until } from '../../demo/process.mjs';

/** Of MCP, the last with sessions. */
export const REVISION = '2025-11-25';
/** What every tool gives. */
export const TOOL_ANSWER = 'Nothing to tell.';
const result = (content) => JSON.stringify({ jsonrpc: '2.0', id: 1, result: content });

/** What a `tools/list` answers, of about so many bytes; every other tool of it is one that the policy names. */
export function toolList(bytes) {
  const description = 'Lists what is there, and says of each when it was opened, by whom and in which currency it is kept.';
  const tool = (index) => ({ name: index % 2 ? `unknown${index}` : 'listAccounts', description, inputSchema: { type: 'object', properties: {} } });
  const count = Math.max(1, Math.round(bytes / (JSON.stringify(tool(1)).length + 1)));
  return result({ tools: Array.from({ length: count }, (_, index) => tool(index)) });
}

/**
 * `answers`: by name, `{ type, body }`; where there is `/NAME` in the path, that one is given. At `/mcp/session` whoever comes without
 * a session opens one.
 */
export async function startUpstream(directory, answers) {
  const [port, admin] = [await freePort(), await freePort()];
  const route = (match, name, type, body, more = {}) => {
    const file = join(directory, `answer-${name}`);
    writeFileSync(file, body);
    const headers = Object.entries({ 'content-type': type, ...more });
    return {
      match, direct_response: { status: 200, body: { filename: file } },
      response_headers_to_add: headers.map(([key, value]) => ({ header: { key, value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })),
    };
  };
  const json = 'application/json';
  const called = result({ content: [{ type: 'text', text: TOOL_ANSWER }] });
  const opened = result({ protocolVersion: REVISION, capabilities: { tools: {} }, serverInfo: { name: 'upstream', version: '1' } });
  const inSession = { headers: [{ name: 'mcp-session-id', present_match: true }] };
  const routes = [
    ...Object.entries(answers).map(([name, { type, body }]) => route({ path: `/mcp/${name}` }, name, type, body)),
    route({ path: '/mcp' }, 'call', json, called),
    route({ path: '/mcp/session', ...inSession }, 'call', json, called),
    route({ path: '/mcp/session' }, 'session', json, opened, { 'mcp-session-id': randomUUID() }),
    { match: { prefix: '/allowed' }, direct_response: { status: 200 } },
  ];
  const extension = (name, type, more) => ({ name, typed_config: { '@type': `type.googleapis.com/${type}`, ...more } });
  const manager = extension('envoy.filters.network.http_connection_manager', 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'upstream',
    // One that answers before it has the whole request closes the connection.
    http_filters: [
      extension('envoy.filters.http.buffer', 'envoy.extensions.filters.http.buffer.v3.Buffer', { max_request_bytes: 1 << 20 }),
      extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router'),
    ],
    route_config: { max_direct_response_body_size_bytes: 16 << 20, virtual_hosts: [{ name: 'upstream', domains: ['*'], routes }] },
  });
  const address = (port_value) => ({ socket_address: { address: '127.0.0.1', port_value } });
  const file = join(directory, 'upstream.json');
  writeFileSync(file, JSON.stringify({
    admin: { address: address(admin) },
    static_resources: { listeners: [{ name: 'upstream', address: address(port), filter_chains: [{ filters: [manager] }] }] },
  }));
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error', '--base-id', '1'];
  const envoy = startProcess(ENVOY, args, { log: join(directory, 'upstream.log') });
  await until(async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).ok, 'the upstream Envoy', { seconds: 30, unless: envoy.exited });
  return { ...envoy, url: `http://127.0.0.1:${port}` };
}
