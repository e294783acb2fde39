// Who checks signatures, Envoy or the filter itself: both serve the same calls, and a metric says which it was.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../demo/keys.mjs';
import { call, startTarget } from './support/attacks.mjs';
import { statistic } from './support/faults.mjs';
import { writeWasmWithoutVerifySignature } from './support/wasm-without-verify-signature.mjs';

const { DEPUTY_WASM = join(root, 'dist/deputy.wasm') } = process.env;

for (const [title, counted, other, change] of [
  ['by Envoy', 'signatures_by_envoy', 'signatures_in_wasm', undefined],
  ['in WebAssembly', 'signatures_in_wasm', 'signatures_by_envoy', writeWasmWithoutVerifySignature],
]) {
  describe(title, () => {
    let directory;
    let target;
    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'deputy-signatures-'));
      const wasm = change ? join(directory, 'changed.wasm') : DEPUTY_WASM;
      change?.(DEPUTY_WASM, wasm);
      // One worker, so that what is known is known.
      target = await startTarget({ gateway: { workers: 1, set: { 'envoy.wasm': wasm } } });
    });
    after(async () => {
      await target?.stop();
      rmSync(directory, { recursive: true });
    });
    const count = (name) => statistic(target.stack, `wasmcustom.mcp_deputy.${name}`);

    test('a new token costs a check, its delegation token another, and a known one none', async () => {
      const token = target.mint.token();
      const list = () => target.post(call('listAccounts'), { token });
      assert.equal(await count(counted), 0, 'known answers do not count');
      assert.equal((await list()).status, 200);
      assert.equal(await count(counted), 2);
      assert.equal((await list()).status, 200);
      assert.equal(await count(counted), 2);
      assert.equal(await count(other), 0);
    });

    test('a bad signature is refused, and counts', async () => {
      const before = await count(counted);
      const [header, payload, signature] = target.mint.token().split('.');
      const changed = `${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`;
      for (const bad of [changed, signature.slice(4), '', 'AAAA']) {
        const answer = await target.post(call('listAccounts'), { token: `${header}.${payload}.${bad}` });
        assert.equal(answer.status, 401);
      }
      assert.equal(await count(counted), before + 1, 'what is no signature by its form costs nothing');
    });

    test('RS384 and PS512 by a key that does not say what it is for are as good as RS256', async () => {
      const before = await count(counted) + await count(other);
      const { sign, createPrivateKey, constants } = await import('node:crypto');
      for (const [alg, hash, options] of [['RS384', 'sha384', {}], ['PS512', 'sha512', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 }]]) {
        const key = { key: createPrivateKey({ key: target.mint.key, format: 'jwk' }), ...options };
        const token = target.mint.token({}, { alg }, { signature: (input) => sign(hash, Buffer.from(input), key) });
        // The demo's key says RS256.
        assert.equal((await target.post(call('listAccounts'), { token })).status, 401);
      }
      assert.equal(await count(counted) + await count(other), before, 'nor is anybody asked for an algorithm that is not the key\'s');
    });
  });
}
