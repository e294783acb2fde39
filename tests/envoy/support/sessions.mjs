// A plain client of a stateful server, and the keys that bind its sessions.

export const KEYS = { DEPUTY_SESSION_KEY: 'n'.repeat(44), DEPUTY_SESSION_KEY_BEFORE: 'o'.repeat(44), DEPUTY_SHORT_KEY: 'short' };
export const keysFrom = (...names) => `{keys_from_environment: [${names.join(', ')}]}`;

export const PING = { message: { method: 'ping' } };

/** Sends a message, or none, in `session`. */
export function send(stack, method, token, session, { message, headers } = {}) {
  return fetch(stack.gatewayUrl, {
    method,
    headers: {
      authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream', 'content-type': 'application/json',
      ...session && { 'mcp-session-id': session }, ...headers,
    },
    body: message && JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
  });
}

export const INITIALIZE = { method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } } };

export async function initialize(stack, token) {
  const answer = await send(stack, 'POST', token, undefined, { message: INITIALIZE });
  await answer.text();
  return { status: answer.status, session: answer.headers.get('mcp-session-id') };
}
