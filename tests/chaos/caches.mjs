// More tokens and targets than the caches hold: those who come again and again go on among all those who come once.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTemporaryStack } from '../envoy/support/stack.mjs';
import { underFault } from './fault.mjs';

const CACHED = 20;
const STRANGERS = 20;

export const caches = ({ seconds, seed }) => underFault({
  start: () => startTemporaryStack({ gateway: { set: { 'limits.cached_tokens': CACHED, 'limits.cached_delegations': CACHED } } }),
  seed,
  clients: 10,
  resultsPerToken: Infinity,
  fault: async ({ stack, clients }) => {
    const before = stack.exchanges().length;
    const strangers = new Set(clients.start(STRANGERS, 1)); // each call under a new token
    await sleep(seconds * 1000);
    const tokens = new Set(clients.answers.filter(({ index }) => strangers.has(index)).map(({ token }) => token));
    assert.ok(tokens.size > CACHED, 'more than the caches hold');
    return { tokens: tokens.size, exchanges: stack.exchanges().length - before };
  },
});
