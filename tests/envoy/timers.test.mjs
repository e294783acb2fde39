// What stays behind in Envoy of configurations that have been replaced: no timer.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTarget } from './support/target.mjs';

const PUSHES = 60;

let target;
before(async () => { target = await startTarget({ gateway: { workers: 1 } }); });
after(() => target?.stop());

/** How often the worker wakes in a second in which nothing happens. */
async function wakeUps() {
  const tasks = `/proc/${target.pid}/task`;
  const worker = readdirSync(tasks).find((id) => readFileSync(`${tasks}/${id}/comm`, 'utf8').startsWith('wrk:'));
  const count = () => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`${tasks}/${worker}/status`, 'utf8'))[1]);
  const [before, started] = [count(), performance.now()];
  await sleep(2000);
  return (count() - before) * 1000 / (performance.now() - started);
}

test('a worker at rest wakes no more often after many pushes than after the first', async () => {
  const before = await wakeUps();
  for (let count = 0; count < PUSHES; count += 1) {
    assert.equal(await target.stack.reconfigure({ set: { 'limits.decision_time': `${count + 11}s` } }), 'accepted');
  }
  const now = await wakeUps();
  assert.ok(now < 2 * before + 5, `${before.toFixed(1)} times a second before, ${now.toFixed(1)} after ${PUSHES} pushes`);
});
