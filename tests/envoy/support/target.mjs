// A stack under test: requests to it, and whether it took them as it should.
import assert from 'node:assert/strict';
import { LEDGER } from '../../../demo/enterprise-ledger/delegation-token.mjs';
import { GATEWAY } from '../../../demo/keys.mjs';
import { SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { bytesOf, JSON_HEADERS, toolCall } from './client.mjs';
import { startEchoServer } from './echo-server.mjs';
import { request2 } from './http2.mjs';
import { chunked, raw } from './raw-http.mjs';
import { envoyLog } from './records.mjs';
import { startTemporaryStack } from './stack.mjs';
import { each } from './tables.mjs';
import { decode, Mint } from './tokens.mjs';

/**
 * With `echo`, an echo server stands in the ledger's place; `upstream` is another one, stopped with the stack. All else is
 * startTemporaryStack's.
 */
export async function startTarget({ echo = false, upstream, ...options } = {}) {
  const server = upstream ?? (echo ? await startEchoServer() : undefined);
  try {
    const stack = await startTemporaryStack({ ...options, upstream: server?.address });
    const stop = async () => {
      await stack.stop();
      await server?.stop();
    };
    return new Target(stack, server, stop);
  } catch (error) {
    await server?.stop();
    throw error;
  }
}

/** `echo` is its upstream, if that is an echo server. */
export class Target {
  constructor(stack, echo, stop) {
    Object.assign(this, { stack, echo, stop, mint: new Mint(stack), port: stack.ports.gateway });
    this.pid = stack.pids.gateway;
  }

  /** A request with a good token, unless `headers` say otherwise. */
  post(body, { token = this.mint.token(), headers = [], ...rest } = {}) {
    const bytes = bytesOf(body);
    return raw(this.port, {
      headers: [...JSON_HEADERS, ['authorization', `Bearer ${token}`], ...headers, ['content-length', bytes.length]], body: bytes, ...rest,
    });
  }

  /** The headers of a good request, and `more`, which replaces those of the same name. */
  headers(more = [], token = this.mint.token()) {
    const names = new Set(more.map(([name]) => name));
    return [...JSON_HEADERS, ['authorization', `Bearer ${token}`]].filter(([name]) => !names.has(name)).concat(more);
  }

  /**
   * Sends the same request over each HTTP version, and in chunks; `check` is given each answer and the way it came. A string in place of
   * `request` is its body, text in UTF-8.
   */
  async eachWay(request, check) {
    const { method = 'POST', path = '/mcp', headers = this.headers(), body } = Object(request) === request && !Buffer.isBuffer(request) ? request : { body: request };
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const http1 = (framing, parts) => raw(this.port, { method, path, headers: [...headers, ...framing], body: parts });
    const http2 = () => request2(this.port, { headers: [[':method', method], [':path', path], ...headers], pieces: bytes ? [bytes] : [], emptyEnd: bytes?.length === 0 });
    const ways = bytes ? [
      ['HTTP/1.1', () => http1([['content-length', bytes.length]], bytes)],
      ['HTTP/1.1 in chunks', () => http1([['transfer-encoding', 'chunked']], chunked(inThree(bytes)))],
      ['HTTP/2', http2],
    ] : [['HTTP/1.1', () => http1([], [])], ['HTTP/2', http2]];
    await each(ways, async ([way, send]) => check(await send(), way));
  }

  /** In every way the answer is this one, without a body if there is no code, and nothing goes up. */
  refuses(status, code, request) {
    return this.eachWay(request, (answer) => {
      const error = answer?.text ? JSON.parse(answer.text).error : undefined;
      assert.deepEqual([answer?.status, error?.code, this.echo.take().length], [status, code, 0], answer?.text);
    });
  }

  /** In every way it goes up as the bytes that were sent, under a delegation token of Sarah's for `scope`; `check` sees it there. */
  passes(scope, request, check = () => {}) {
    const body = Buffer.from(request.body ?? (typeof request === 'string' || Buffer.isBuffer(request) ? request : ''));
    return this.eachWay(request, (answer) => {
      const arrived = this.echo.take();
      assert.deepEqual([answer?.status, arrived.length], [200, 1], answer?.text);
      assert.ok(arrived[0].body.equals(body), 'the bytes that were sent');
      assertDelegated(arrived[0], SARAH.user, scope);
      check(arrived[0]);
    });
  }

  /** Opens a session and gives its id, as the client gets it. */
  async openSession(token) {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const answer = await this.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, { token });
    this.echo?.take();
    assert.ok(answer.headers.get('mcp-session-id'));
    return answer.headers.get('mcp-session-id');
  }

  /** The first audit record that `find` is true for, once it is written. */
  record(find) {
    return until(() => this.stack.auditRecords().find(find), 'the audit record');
  }

  envoyLog() { return envoyLog(this.stack); }

  /** Envoy is the same process, and a good call is served. */
  async assertServes() {
    assert.equal(this.stack.pids.gateway, this.pid);
    process.kill(this.pid, 0);
    assert.ok((await fetch(`${this.stack.adminUrl}/ready`)).ok);
    // Once for each worker, more or less: a failed one answers 503.
    for (let i = 0; i < 8; i += 1) assert.equal((await this.post(toolCall('listAccounts'))).status, 200);
  }

  /** The same, and no VM has failed. `refusedPushes`: there were such, each a failure to Envoy. */
  async assertHealthy({ refusedPushes = false } = {}) {
    await this.assertServes();
    const failures = this.envoyLog().split('\n').filter((line) => /Function: \S+ failed|panicked|wasm failed|Plugin configured to fail/.test(line));
    assert.deepEqual(failures.filter((line) => !refusedPushes || !/Plugin configured to fail closed failed to load$/.test(line)), []);
  }
}

/** What went up carries one token: `subject`'s, for `scope`, and no token of the gateway's own audience. */
export function assertDelegated({ headers }, subject, scope) {
  const tokens = headers.filter(([name]) => name === 'authorization').map(([, value]) => decode(value));
  assert.deepEqual(tokens.map(({ sub, scope: granted, aud, act }) => [sub, granted, aud, act?.sub]),
    [[subject, scope, LEDGER, GATEWAY]]);
  assert.equal(JSON.stringify(headers).match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g).length, 1, 'one token in all headers');
}

// Chunks that end within tokens and characters.
const inThree = (bytes) => [bytes.subarray(0, 1), bytes.subarray(1, bytes.length >> 1), bytes.subarray(bytes.length >> 1)].filter(({ length }) => length);
