// Who checks signatures, Envoy or the filter itself: both serve the same calls, and a metric says which it was.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEPUTY_WASM } from '../../demo/gateway.mjs';
import { publicPart } from '../../demo/keys.mjs';
import { toolCall } from './support/client.mjs';
import { statistic } from './support/records.mjs';
import { each } from './support/tables.mjs';
import { startTarget } from './support/target.mjs';
import { signer } from './support/tokens.mjs';
import { writeWasmWithoutVerifySignature } from './support/wasm-without-verify-signature.mjs';

const newKey = (kid, ...kind) => ({ ...generateKeyPairSync(...kind).privateKey.export({ format: 'jwk' }), kid });
const rsa = newKey('rsa', 'rsa', { modulusLength: 2048 });
const ALGORITHMS = {
  RS256: rsa, RS384: rsa, RS512: rsa, PS256: rsa, PS384: rsa, PS512: rsa,
  ES256: newKey('p256', 'ec', { namedCurve: 'P-256' }), ES384: newKey('p384', 'ec', { namedCurve: 'P-384' }), EdDSA: newKey('ed25519', 'ed25519'),
};

const publicKeys = [...new Set(Object.values(ALGORITHMS))].map(publicPart);
const addKeys = (text) => text.replace('"keys": [', (start) => start + publicKeys.map((key) => `${JSON.stringify(key)},`).join(''));

for (const [title, byEnvoy] of [['by Envoy', true], ['in WebAssembly', false]]) {
  const ways = ['signatures_by_envoy', 'signatures_in_wasm'];
  const [counted, other] = byEnvoy ? ways : ways.toReversed();
  describe(title, () => {
    let directory;
    let target;
    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'deputy-signatures-'));
      const wasm = byEnvoy ? DEPUTY_WASM : join(directory, 'changed.wasm');
      if (!byEnvoy) writeWasmWithoutVerifySignature(DEPUTY_WASM, wasm);
      // One worker, so that what is known is known.
      target = await startTarget({ gateway: { workers: 1, set: { 'envoy.wasm': wasm }, edit: { 'filter.yaml': addKeys } } });
    });
    after(async () => {
      await target?.stop();
      rmSync(directory, { recursive: true });
    });
    const count = (name) => statistic(target.stack, `wasmcustom.mcp_deputy.${name}`);

    test('a new token costs a check, its delegation token another, and a known one none', async () => {
      const token = target.mint.token();
      const list = () => target.post(toolCall('listAccounts'), { token });
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
        const answer = await target.post(toolCall('listAccounts'), { token: `${header}.${payload}.${bad}` });
        assert.equal(answer.status, 401);
      }
      assert.equal(await count(counted), before + 1, 'what is no signature by its form costs nothing');
    });

    test('a token by any algorithm is accepted', async () => {
      await each(Object.entries(ALGORITHMS), async ([alg, key]) => {
        const by = byEnvoy && /^(RS|ES)/.test(alg) ? 'signatures_by_envoy' : 'signatures_in_wasm';
        const before = await count(by);
        const token = target.mint.token({ jti: alg }, { alg, kid: key.kid }, { signature: signer(alg, key) });
        await target.post(toolCall('listAccounts'), { token });
        // The filter believes the token. The demo's authorization server, which does not know the keys, does not.
        const { reason } = await target.record(({ token_id: id }) => id === alg);
        assert.equal(reason, 'exchange_subject_rejected');
        assert.equal(await count(by), before + 1, by);
      });
    });
  });
}
