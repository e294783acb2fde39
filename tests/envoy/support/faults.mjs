// What the tests of faults and pushes share: a stack whose authorization server can misbehave, tokens, and a plain client.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GATEWAY, readJson } from '../../../demo/keys.mjs';
import { SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { startStack } from '../../../demo/stack.mjs';

// The packages are the demo's.
const { SignJWT, exportJWK, generateKeyPair, importJWK } = createRequire(new URL('../../../demo/package.json', import.meta.url))('jose');

export const LEDGER = 'https://enterprise-ledger.orchestrator.lab/';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
/** Longer than anything takes that does not hang. */
export const PATIENCE = 20_000;

/** A stack with its own keys in a temporary directory, which goes with it. */
export async function startTemporaryStack(options) {
  const state = mkdtempSync(join(tmpdir(), 'deputy-faults-'));
  const remove = () => rmSync(state, { recursive: true, force: true });
  try {
    const stack = await startStack({ state, ...options });
    const stop = stack.stop.bind(stack);
    stack.stop = async () => { await stop(); remove(); };
    return stack;
  } catch (error) {
    remove();
    throw error;
  }
}

/** A stack whose gateway exchanges tokens at `scripted`, a ScriptedServer that passes on to the real one if not told otherwise. */
export async function startScriptedStack({ gateway = {}, ...options } = {}) {
  const scripted = await ScriptedServer.start();
  const cluster = { 'envoy.clusters.authorization_server': scripted.address };
  try {
    const stack = await startTemporaryStack({ ...options, gateway: { ...gateway, set: { ...cluster, ...gateway.set } } });
    scripted.realUrl = stack.authorizationServerUrl;
    const stop = stack.stop.bind(stack);
    stack.stop = async () => { await stop(); await scripted.stop(); };
    return { stack, scripted };
  } catch (error) {
    await scripted.stop();
    throw error;
  }
}

/** Stands where the authorization server should be, and answers as `script(request, response, body)` says. */
export class ScriptedServer {
  #server;
  #asked = [];

  static async start() {
    const scripted = new ScriptedServer();
    await scripted.listen(0);
    return scripted;
  }

  async listen(port = this.port) {
    this.#server = createServer(async (request, response) => {
      const chunks = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
        const body = Buffer.concat(chunks);
        this.#asked.push(new URLSearchParams(body.toString()));
        await this.script(request, response, body);
      } catch {
        response.destroy(); // who asked is gone
      }
    });
    this.#server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection
    await new Promise((listening) => this.#server.listen(port, '127.0.0.1', listening));
    this.port = this.#server.address().port;
    this.address = `127.0.0.1:${this.port}`;
  }

  /** The form of each request so far. */
  get asked() { return this.#asked; }

  /** The real server's answer. */
  async answerOf(request, body) {
    const { authorization, 'content-type': type } = request.headers;
    const headers = { 'content-type': type, ...authorization && { authorization } };
    const answer = await fetch(this.realUrl + request.url, { method: request.method, headers, body });
    return { status: answer.status, text: await answer.text() };
  }

  passOn = async (request, response, body) => {
    const { status, text } = await this.answerOf(request, body);
    reply(response, status, text);
  };

  script = this.passOn;

  /** From now on nothing is answered until `release()`. `asked()` waits for the first request that is held. */
  hold() {
    let release;
    const released = new Promise((resolve) => { release = resolve; });
    const before = this.#asked.length;
    this.script = async (...request) => {
      await released;
      await this.passOn(...request);
    };
    return { release, asked: () => until(() => this.#asked.length > before, 'an exchange under way') };
  }

  async stop() {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

export function reply(response, status, body, headers = { 'content-type': 'application/json' }) {
  response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
}

const seconds = () => Math.floor(Date.now() / 1000);

/** Signs claims with the authorization server's own key for `alg`. `key` is another private JWK. */
export async function sign(stack, claims, { alg = 'RS256', key } = {}) {
  const jwk = key ?? readJson(stack.keys.authorizationServer).jwks.keys.find((one) => one.alg === alg);
  return new SignJWT(claims).setProtectedHeader({ alg, kid: jwk.kid, typ: 'at+jwt' }).sign(await importJWK(jwk, alg));
}

/** A private JWK that nobody trusts yet. */
export async function newSigningKey(alg = 'RS256') {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...await exportJWK(privateKey), use: 'sig', alg, kid: randomUUID() };
}

/** An access token of Sarah's for the gateway: `{ token, id }`. */
export async function inboundToken(stack, changes = {}, key) {
  const id = randomUUID();
  const token = await sign(stack, {
    iss: stack.authorizationServerUrl, aud: stack.gatewayUrl, sub: SARAH.user, client_id: 'mcp-client-cli',
    scope: 'mcp:connect pii:read audit:read', may_act: { sub: GATEWAY }, jti: id, iat: seconds(), exp: seconds() + 600, ...changes,
  }, { key });
  return { token, id };
}

/** A delegation token as the authorization server would make it for an exchange, with `changes`. */
export function delegationToken(stack, form, changes = {}, key) {
  return sign(stack, {
    iss: stack.authorizationServerUrl, aud: form.get('audience'), scope: form.get('scope'), sub: SARAH.user, client_id: GATEWAY,
    act: { sub: GATEWAY }, jti: randomUUID(), iat: seconds(), exp: seconds() + 5, ...changes,
  }, { alg: 'ES256', key });
}

export const toolCall = (name, args = {}) => JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name, arguments: args } });

export const LIST_ACCOUNTS = toolCall('listAccounts');

export const requestHeaders = (token) => ({
  authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
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
  request.end(body);
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

/** The audit records of the transactions under an inbound token, once there are `count`. */
export const auditOf = (stack, id, count = 1) => until(() => {
  const records = stack.auditRecords().filter((record) => record.token_id === id);
  return records.length >= count && records;
}, 'the audit record');

export const envoyLog = (stack) => readFileSync(stack.logs.envoy, 'utf8');

/** All that an operator gets to read: `[place, text]` of logs, configuration and Envoy's admin interface. */
export async function readablePlaces(stack) {
  const admin = async (path) => [`admin ${path}`, await (await fetch(stack.adminUrl + path)).text()];
  const file = (path) => [path, readFileSync(path, 'utf8')];
  return [
    ...Object.values(stack.logs).map(file),
    ...['envoy.yaml', 'filter.yaml'].map((name) => file(join(stack.directory, 'gateway', name))),
    ...await Promise.all(['/config_dump?include_eds', '/stats', '/clusters', '/server_info'].map(admin)),
  ];
}

export const logged = (stack, pattern) => until(() => pattern.test(envoyLog(stack)), `${pattern} in Envoy's log`);

const accessLog = (stack) => envoyLog(stack).split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));

/** The access log, once it has this request: Envoy writes it every ten seconds. */
export const accessLogged = (stack, requestId) => until(() => {
  const lines = accessLog(stack);
  return lines.some(({ request_id: id }) => id === requestId) && lines;
}, 'the access log', { seconds: 40 });

/** The sum of the statistics of this exact end. */
export async function statistic(stack, name) {
  const text = await (await fetch(`${stack.adminUrl}/stats?filter=${name}$`)).text();
  return [...text.matchAll(/: (\d+)$/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Nothing waits in Envoy any more, neither a client nor an exchange. */
export const atRest = (stack) => until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 0
  && await statistic(stack, 'cluster.authorization_server.upstream_rq_active') === 0, 'Envoy at rest');

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
