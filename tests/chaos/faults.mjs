// Every fault but those of the authorization server, which exchange.mjs has, one after another. `make chaos` runs them for a minute
// each and writes benches/results/chaos.*; tests/envoy/chaos.test.mjs for some seconds.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { root } from '../../demo/keys.mjs';
import { caches } from './caches.mjs';
import { pushes } from './pushes.mjs';
import { restart } from './restart.mjs';
import { trap } from './trap.mjs';
import { upstream } from './upstream.mjs';

/** Each takes `{ seconds, seed, count }`: how long, or how often where that is what counts. */
export const FAULTS = {
  'the VM of the filter traps': trap,
  'the MCP server is killed, stopped, slow, flapping': upstream,
  'good and bad configurations in turn': pushes,
  'more tokens than the caches hold': caches,
  'Envoy is hot restarted': ({ count, seed }) => restart({ times: Math.ceil(count / 20), seed }),
};

const TOLD = {
  'the VM of the filter traps': ({ times, outage_ms: ms }) => `${times} traps. The last client was served ${ms} ms after one`,
  'the MCP server is killed, stopped, slow, flapping': ({ recoveries_ms: of }) =>
    `The last client was served again after ${Object.entries(of).map(([name, ms]) => `${ms} ms (${name})`).join(', ')}`,
  'good and bad configurations in turn': ({ accepted, rejected }) => `${accepted} were taken and ${rejected} refused`,
  'more tokens than the caches hold': ({ tokens, exchanges }) => `${tokens} tokens, ${exchanges} exchanges; 20 of either are cached in each worker`,
  'Envoy is hot restarted': ({ times }) => `${times} times`,
};

function markdown({ seconds, seed, load, runs }) {
  const cells = (...values) => `| ${values.join(' | ')} |`;
  const row = ([name, run]) => {
    const { result = 0, 'scope missing': missing = 0, 'no filter': noFilter = 0, 'no server': noServer = 0, 'delegation too late': late = 0, ...others } = run.answers;
    const cut = Object.values(others).reduce((sum, count) => sum + count, 0);
    return cells(name, run.calls, result, missing, noFilter + noServer, late, cut, run.longest_ms, run.recovery_ms, TOLD[name](run));
  };
  return `${[
    '# Chaos, measured', '',
    `By \`make chaos SECONDS=${seconds} SEED=${seed}\`: clients call five tools without pause, as two users and with tokens of their own, through Envoy`,
    "to the demo's ledger, while one thing goes wrong. [The authorization server](chaos-exchange.md) has a page of its own.",
    'It fails unless every answer is one that is named here and holds no token; each request that reached the ledger had a fresh delegation',
    'token for the right user, scope and audience, which the ledger verified, or refused as late; there is one audit record for each answer, and',
    'one that allows each request at the ledger; and in the end every client is served.', '',
    cells('', 'calls', '200', '403', '503', '502', 'cut off', 'longest, ms', 'all served after, ms', ''), `|${'---|'.repeat(10)}`,
    ...Object.entries(runs).map(row), '',
    '- 403: the scope is missing, as ever. 503: Envoy itself answers, since the filter or the MCP server is not there.',
    '  502: the server was stopped until the delegation token of a call that waited there had ended, and then did not accept it.',
    '- A virtual machine that traps takes with it what its streams waited for, and their audit records, and Envoy tells them nothing.',
    "  A request that was undecided then is answered with 503 when its route's `idle_timeout` ends: two seconds here, an hour in the",
    '  bootstrap. New ones get 503 until the next machine is there. Whatever reached the ledger without a record is no more than the',
    '  records that are missing.',
    '- The stopped server is held by SIGSTOP, the slow one most of the time; nothing but its coming back ends a call that waits for it.',
    '- Of the bad configurations, some are none, and some name a secret that only Envoy can know not to be there. Each record has one policy',
    '  whole: its hash and what is delegated under it go together.',
    '- Old and new Envoy have `--drain-time-s 2 --parent-shutdown-time-s 4`, so that all clients have been told to connect anew before',
    '  the old one ends.', '',
    `The machine's load average was ${load}, on ${availableParallelism()} processors.`,
  ].join('\n')}\n`;
}

if (import.meta.main) {
  const [seconds, seed] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 1)];
  const runs = {};
  for (const [name, fault] of Object.entries(FAULTS)) {
    runs[name] = await fault({ seconds, seed, count: 100 });
    console.log(name, runs[name]);
  }
  const results = join(root, 'benches/results');
  mkdirSync(results, { recursive: true });
  const seen = { seconds, seed, load: Math.round(loadavg()[0] * 10) / 10, runs };
  writeFileSync(join(results, 'chaos.json'), `${JSON.stringify(seen, null, 2)}\n`);
  writeFileSync(join(results, 'chaos.md'), markdown(seen));
}
