// The frame of every fault: clients call while something goes wrong, and everything is counted.
import assert from 'node:assert/strict';
import { atRest } from '../envoy/support/records.mjs';
import { Clients, tally } from './clients.mjs';

const CLIENTS = 20;

/**
 * `start` gives the stack, `fault({ stack, clients })` is what goes wrong, and gives what else to tell of it. `kinds` are the answers
 * that may come besides those of every day, `patience` the seconds in which each comes. With `forgetful`, audit records may be
 * missing: those of the requests that a virtual machine took with it. `own` is the tool that the fault itself calls.
 */
export async function underFault({ start, clients: count = CLIENTS, resultsPerToken, seed, kinds = [], patience = 15, forgetful = false, own, fault, check = () => {} }) {
  const stack = await start();
  try {
    const clients = new Clients(stack, { seed });
    clients.start(count, resultsPerToken);
    let [told, recovery] = [];
    try {
      await clients.servedAgain(0);
      told = await fault({ stack, clients });
      recovery = await clients.servedAgain(performance.now());
    } finally {
      await clients.stop();
    }
    await atRest(stack);

    clients.assertKinds(['result', 'scope missing', ...kinds]);
    clients.assertAnswered(patience);
    const requests = stack.ledgerRequests().filter(({ tool }) => tool !== own);
    clients.assertDelegated(requests, { mayBeLate: kinds.includes('delegation too late') });
    assert.ok(requests.length >= clients.count('result'));
    const records = await clients.records(forgetful ? 0 : undefined);
    if (forgetful) assertForgotten(clients.answers, records, requests);
    else {
      clients.assertRecorded(records);
      clients.assertAllowed(requests, records);
    }
    await check({ stack, clients, records, requests });
    const ms = Math.round;
    return { calls: clients.answers.length, answers: clients.kinds(), longest_ms: ms(clients.longest()), recovery_ms: ms(recovery), ...told };
  } finally {
    await stack.stop();
  }
}

/** What reached the ledger without a record is no more than the records that are missing, and no record is one too many. */
function assertForgotten(answers, records, requests) {
  const missing = answers.length - records.length;
  const known = tally(records.filter(({ delegation }) => delegation), ({ delegation }) => delegation.token_id);
  const arrived = Object.entries(tally(requests, ({ claims }) => claims.jti));
  const unknown = arrived.reduce((sum, [jti, times]) => sum + Math.max(0, times - (known[jti] ?? 0)), 0);
  assert.ok(missing >= 0 && unknown <= missing, `${unknown} without a record, ${missing} missing`);
  const of = ({ token, token_id: id, tool }) => `${id ?? token} ${tool}`;
  const answered = tally(answers, of);
  for (const [what, times] of Object.entries(tally(records, of))) assert.ok(times <= (answered[what] ?? 0), what);
}
