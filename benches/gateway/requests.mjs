// What the gateways are sent.
import { randomUUID } from 'node:crypto';
import { readJson } from '../../demo/keys.mjs';
import { tokenSigner } from '../../tests/envoy/support/tokens.mjs';
import { writeRequests } from '../generator.mjs';
import { REVISION, TOOL_ANSWER } from './upstream.mjs';

/** Makes tokens of one caller, signed with RS256. */
export function caller({ issuer, resource, keys }) {
  const signed = tokenSigner(readJson(keys.authorizationServer).jwks.keys.find(({ alg }) => alg === 'RS256'));
  const sub = `user-${randomUUID()}`;
  return () => {
    const iat = Math.floor(Date.now() / 1000);
    return signed({ iss: issuer, sub, aud: resource, client_id: 'bench', scope: 'mcp:connect', iat, exp: iat + 3600, jti: randomUUID() });
  };
}

/** Opens a session of MCP and gives its id. */
export async function openSession(port, token, { name, path }) {
  const params = { protocolVersion: REVISION, capabilities: {}, clientInfo: { name: 'bench', version: '1' } };
  const { session, text } = await send(port, token, path, { method: 'initialize', params });
  if (!session || !text.includes('serverInfo')) throw new Error(`${name}: no session was opened: ${text}`);
  return session;
}

/** Of the load, only the status is seen: so one call before it and one after it must be answered with what the tool gives. */
export async function checkCall(port, token, { name, path, call, session }) {
  const { status, text } = await send(port, token, path, call, session);
  if (status !== 200 || !text.includes(TOOL_ANSWER)) throw new Error(`${name}: a call was answered with ${status}: ${text}`);
}

async function send(port, token, path, message, session) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST', headers: { ...fields(session), authorization: `Bearer ${token}` }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
  });
  return { status: answer.status, session: answer.headers.get('mcp-session-id'), text: await answer.text() };
}

function fields(session) {
  return {
    'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': REVISION, 'user-agent': 'bench',
    ...session && { 'mcp-session-id': session },
  };
}

/** Writes the requests of a variant, one for each token, each with its length before it. */
export function writeCalls(file, tokens, { path = '/mcp', call, bytes = 300, session }) {
  const text = (progressToken) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...call, params: { ...call.params, _meta: { progressToken } } });
  const body = text('x'.repeat(Math.max(0, bytes - text('').length)));
  writeRequests(file, tokens.map((token) => [
    `POST ${path} HTTP/1.1`, 'host: gateway', ...Object.entries(fields(session)).map(([name, value]) => `${name}: ${value}`),
    `authorization: Bearer ${token}`, `content-length: ${body.length}`, '', body,
  ].join('\r\n')));
}
