// Some seconds of mixed good and hostile load. `make soak` has more.
import { test } from 'node:test';
import { soak } from '../soak/soak.mjs';

test('under mixed load nothing good fails, nothing hostile passes, and nothing is left behind', () => soak({ seconds: 12, seed: 6750 }));
