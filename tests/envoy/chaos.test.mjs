// Some seconds of chaos at the authorization server. `make chaos` has more.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chaos, servedInOutages, VARIANTS } from '../chaos/exchange.mjs';

const SECONDS = 8;
const SEED = 8693;

describe('an authorization server of moods', () => {
  for (const [name, failover] of Object.entries(VARIANTS)) {
    test(`${name}: every call is answered, nothing goes up without a delegation of its own, and it recovers`, async () => {
      const run = await chaos({ seconds: SECONDS, seed: SEED, failover });
      if (!failover) return;
      assert.ok(run.exchangesAtBackup > 0);
      assert.ok(servedInOutages(run) > 50, `${servedInOutages(run)} % were served in outages`);
    });
  }
});
