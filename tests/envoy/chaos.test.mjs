// Some seconds of chaos. `make chaos` has more.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chaos, servedInOutages, VARIANTS } from '../chaos/exchange.mjs';
import { FAULTS } from '../chaos/faults.mjs';

const SEED = 8693;

describe('an authorization server of moods', () => {
  for (const [name, failover] of Object.entries(VARIANTS)) {
    test(`${name}: every call is answered, nothing goes up without a delegation of its own, and it recovers`, async () => {
      const run = await chaos({ seconds: 8, seed: SEED, failover });
      if (!failover) return;
      assert.ok(run.exchangesAtBackup > 0);
      assert.ok(servedInOutages(run) > 50, `${servedInOutages(run)} % were served in outages`);
    });
  }
});

describe('every call is answered, nothing goes up without a delegation, and it recovers when', () => {
  for (const [name, fault] of Object.entries(FAULTS)) test(name, () => fault({ seconds: 1, seed: SEED, count: 6 }));
});
