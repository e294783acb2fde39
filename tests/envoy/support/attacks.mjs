// What the tests of attacks share: a stack of their own, requests to it, and what it left in its logs.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../../demo/keys.mjs';
import { until } from '../../../demo/process.mjs';
import { startStack } from '../../../demo/stack.mjs';
import { startEchoServer } from './echo-server.mjs';
import { raw } from './raw-http.mjs';
import { Mint } from './tokens.mjs';

export { until };

/**
 * A stack in a directory of its own. With `echo`, an echo server stands in the ledger's place; `upstream` is another one,
 * stopped with the stack. `policy` changes the text of the ledger's policy; `ports` and `gateway` are startStack's.
 */
export async function startTarget({ echo = false, upstream, policy, ports, gateway } = {}) {
  const state = mkdtempSync(join(tmpdir(), 'deputy-attacks-'));
  const server = upstream ?? (echo ? await startEchoServer() : undefined);
  const clean = async (stack) => {
    await stack?.stop();
    await server?.stop();
    rmSync(state, { recursive: true });
  };
  try {
    const set = { ...(policy && { policies: writePolicies(state, policy) }), ...gateway?.set };
    const stack = await startStack({ state, ports, gateway: { ...gateway, set }, upstream: server?.address });
    return new Target(stack, server, () => clean(stack));
  } catch (error) {
    await clean();
    throw error;
  }
}

function writePolicies(state, change) {
  const policies = join(state, 'policies');
  cpSync(join(root, 'policies'), policies, { recursive: true });
  const file = join(policies, 'enterprise-ledger.yaml');
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  return policies;
}

class Target {
  constructor(stack, echo, stop) {
    Object.assign(this, { stack, echo, stop, mint: new Mint(stack), port: stack.ports.gateway });
    this.pid = stack.pids.gateway;
  }

  /** A request with a good token, unless `headers` say otherwise. */
  post(body, { token = this.mint.token(), headers = [], ...rest } = {}) {
    const bytes = Buffer.from(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    return raw(this.port, {
      headers: [...JSON_HEADERS, ['authorization', `Bearer ${token}`], ...headers, ['content-length', bytes.length]], body: bytes, ...rest,
    });
  }

  /** The first audit record that `find` is true for, once it is written. */
  record(find) {
    return until(() => this.stack.auditRecords().find(find), 'the audit record');
  }

  envoyLog() { return readFileSync(this.stack.logs.envoy, 'utf8'); }

  /** Envoy is the same process, no VM has failed, and a good call is served. */
  async assertHealthy() {
    assert.equal(this.stack.pids.gateway, this.pid);
    process.kill(this.pid, 0);
    assert.ok((await fetch(`${this.stack.adminUrl}/ready`)).ok);
    // Once for each worker, more or less: a failed one answers 503.
    for (let i = 0; i < 8; i += 1) assert.equal((await this.post(call('listAccounts'))).status, 200);
    const failures = this.envoyLog().split('\n').filter((line) => /Function: \S+ failed|panicked|wasm failed|Plugin configured to fail/.test(line));
    assert.deepEqual(failures, []);
  }
}

export const JSON_HEADERS = [['content-type', 'application/json'], ['accept', 'application/json, text/event-stream']];

export const call = (name, args = {}, id = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });

/** Several cases under one test, all run, the failures together. A case that is an array begins with its name. */
export async function each(cases, check) {
  const failures = [];
  for (const one of cases) {
    try {
      await check(one);
    } catch (error) {
      failures.push(`${JSON.stringify(Array.isArray(one) ? one[0] : one)}: ${error.message}`);
    }
  }
  assert.deepEqual(failures, []);
}
