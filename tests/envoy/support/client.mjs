// A plain client: the messages that it sends, their headers, and the sending.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';

/** Longer than anything takes that does not hang. */
export const PATIENCE = 20_000;

export const JSON_HEADERS = [['content-type', 'application/json'], ['accept', 'application/json, text/event-stream']];

/** A call of a tool, as a message. */
export const toolCall = (name, args = {}, id = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });

/** Its id is one that nothing makes up: tests look for it in the answer. */
export const LIST_ACCOUNTS = JSON.stringify(toolCall('listAccounts', {}, 7));

const PREFIX = 'io.modelcontextprotocol';

/** A request of 2026-07-28 with what that revision wants: `{ headers, body }`, the headers beyond those of any request. */
export function current(method, params = {}, { meta = {}, name = params.name ?? params.uri ?? params.taskId, version = '2026-07-28' } = {}) {
  const _meta = { [`${PREFIX}/protocolVersion`]: version, [`${PREFIX}/clientInfo`]: { name: 'test', version: '1' }, [`${PREFIX}/clientCapabilities`]: {}, ...meta };
  return {
    headers: [['mcp-protocol-version', '2026-07-28'], ['mcp-method', method], ...(name === undefined ? [] : [['mcp-name', name]])],
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
  };
}

/** A message as it is sent; text and bytes are sent as they are. */
export const bytesOf = (message) => Buffer.from(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));

export const requestHeaders = (token) => ({
  authorization: `Bearer ${token}`, ...Object.fromEntries(JSON_HEADERS), 'mcp-protocol-version': '2025-11-25',
});

/**
 * Posts a message, on a connection of its own unless an `agent` has one: `{ request, answer }`; `answer` rejects when nothing
 * comes, or the request is destroyed.
 */
export function post(stack, token, body = LIST_ACCOUNTS, agent = false) {
  const started = performance.now();
  const request = httpRequest(stack.gatewayUrl, { method: 'POST', agent, headers: requestHeaders(token), timeout: PATIENCE });
  const answer = new Promise((resolve, reject) => {
    request.on('timeout', () => request.destroy(new Error('no answer: it hangs')));
    request.on('error', reject);
    const closed = () => reject(new Error('closed without an answer'));
    request.on('close', closed);
    request.on('response', async (response) => {
      request.off('close', closed); // a connection that stays open closes the request before all is read
      try {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode, headers: response.headers, text, message: messageIn(text), ms: performance.now() - started });
      } catch (error) {
        reject(error);
      }
    });
  });
  answer.catch(() => {}); // whoever destroys the request need not listen
  request.end(bytesOf(body));
  return { request, answer };
}

export const call = (stack, token, body, agent) => post(stack, token, body, agent).answer;

/** Posts a message on an HTTP/2 session, whose streams are all one worker's. Without `end` the body stays open. */
export function streamOn(session, token, { end = true } = {}) {
  const headers = { ...requestHeaders(token), ':method': 'POST', ':path': '/mcp' };
  const stream = session.request(headers);
  stream.setTimeout(PATIENCE, () => stream.destroy(new Error('no answer: it hangs')));
  const status = once(stream, 'response').then(([answer]) => {
    stream.resume();
    return answer[':status'];
  });
  status.catch(() => {}); // whoever closes the stream need not listen
  stream.write(LIST_ACCOUNTS);
  if (end) stream.end();
  return { stream, status };
}

/** The JSON-RPC message of an answer, be it JSON or the one event of a stream. */
function messageIn(text) {
  const json = /^data: ?(\{.*)$/m.exec(text)?.[1] ?? text;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Clients that call one after another until told to stop: `{ answers, stop() }`; each answer has the time it was asked `at`. */
export function load(stack, clients, body) {
  const answers = [];
  let running = true;
  const loops = clients.map(async (client) => {
    while (running) {
      const at = performance.now();
      const { status, headers, ms } = await call(stack, client.token, body).catch((error) => ({ status: error.message }));
      answers.push({ at, status, headers, ms });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  return { answers, async stop() { running = false; await Promise.all(loops); return answers; } };
}
