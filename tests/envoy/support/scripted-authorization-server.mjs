// An authorization server that answers as each test says, and a stack that asks it.
import { createServer } from 'node:http';
import { until } from '../../../demo/process.mjs';
import { startTemporaryStack } from './stack.mjs';

export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** A stack whose gateway exchanges tokens at `scripted`, a ScriptedAuthorizationServer that passes on to the real one if not told otherwise. */
export async function startScriptedStack({ gateway = {}, ...options } = {}) {
  const scripted = await ScriptedAuthorizationServer.start();
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
export class ScriptedAuthorizationServer {
  #server;
  #asked = [];

  static async start() {
    const scripted = new ScriptedAuthorizationServer();
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
