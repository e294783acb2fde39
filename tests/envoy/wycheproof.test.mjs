// Project Wycheproof's cases by the filter's own verifier, in Envoy: by Envoy's BoringSSL where the filter has it check
// signatures, and all in WebAssembly where Envoy cannot. tests/wycheproof/suites.rs has the cases and the sums.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../demo/keys.mjs';
import { envoyLog, statistic } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { writeWasmWithoutVerifySignature } from './support/wasm-without-verify-signature.mjs';

const WASM = join(root, 'target/wasm32-wasip1/release/examples/wycheproof_in_envoy.wasm');
const BY_ENVOY = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384'];
const ALL = [...BY_ENVOY, 'PS256', 'PS384', 'PS512', 'EdDSA'];

let directory;
before(() => { directory = mkdtempSync(join(tmpdir(), 'deputy-wycheproof-')); });
after(() => rmSync(directory, { recursive: true }));

for (const [title, byEnvoy, log, wasm] of [
  ['by Envoy', BY_ENVOY, /signatures by Envoy: RS256 RS384 RS512 ES256 ES384; in WebAssembly: PS256 PS384 PS512 EdDSA/, () => WASM],
  ['in WebAssembly', [], /signatures by Envoy: ; in WebAssembly: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA/, () => {
    const changed = join(directory, 'changed.wasm');
    writeWasmWithoutVerifySignature(WASM, changed);
    return changed;
  }],
]) {
  describe(title, () => {
    let stack;
    before(async () => { stack = await startTemporaryStack({ gateway: { set: { 'envoy.wasm': wasm() } } }); });
    after(() => stack?.stop());

    test('Envoy says which way each algorithm goes', () => assert.match(envoyLog(stack), log));

    for (const algorithm of ALL) {
      test(algorithm, async () => {
        const counters = () => Promise.all(['signatures_by_envoy', 'signatures_in_wasm'].map((name) => statistic(stack, `wasmcustom.mcp_deputy.${name}`)));
        const before = await counters();
        const answer = await fetch(new URL(`/${algorithm}`, stack.gatewayUrl));
        const { expected, counted, wrong } = await answer.json();
        assert.deepEqual([counted, wrong], [expected, []]);
        const checked = (await counters()).map((count, index) => count - before[index]);
        // Those that are no signatures by their form are refused before anybody is asked.
        assert.deepEqual(checked.map((count) => count > 0), byEnvoy.includes(algorithm) ? [true, false] : [false, true]);
      });
    }
  });
}
