// What the responses in one worker hold together is bounded, whatever the MCP server sends on however many streams.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { until } from '../../demo/process.mjs';
import { post } from './support/client.mjs';
import { atRest } from './support/records.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { startTarget } from './support/target.mjs';

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"listAccounts"}]}}';
/** Together more than the memory of a virtual machine, 1022 MiB. */
const [STREAMS, BYTES] = [160, 7_900_000];
/** A value that is under the limit of one, and has no end. */
const HUGE = Buffer.alloc(BYTES, 'a');

const BEGINNINGS = {
  'a list in JSON': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"'],
  'a list in events': ['text/event-stream', 'data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"'],
};

describe('huge answers without an end on many streams of one worker', () => {
  let server;
  let target;
  before(async () => {
    server = await startScriptedServer();
    target = await startTarget({ upstream: server, gateway: { workers: 1 } });
  });
  after(() => target?.stop());

  for (const [name, [type, beginning]] of Object.entries(BEGINNINGS)) {
    test(`${name}: what would be held beyond the limit is refused, and the worker serves on`, async () => {
      const token = target.mint.token();
      let sent = 0;
      server.answer = (outgoing) => {
        const done = () => { sent += 1; };
        outgoing.writeHead(200, { 'content-type': type });
        outgoing.write(beginning);
        outgoing.write(HUGE, done);
        outgoing.on('close', done);
      };
      const agent = new Agent({ maxSockets: STREAMS });
      const answers = [];
      const posts = Array.from({ length: STREAMS }, () => post(target.stack, token, LIST, agent));
      posts.forEach(({ answer }) => answer.then(({ status }) => answers.push(status), () => answers.push('cut off')));
      await until(() => sent >= STREAMS, 'all of it in Envoy, or refused', { seconds: 60 });

      const refused = await until(() => {
        const records = target.stack.auditRecords().filter(({ detail }) => detail === 'too_much_held');
        return records.length >= answers.length && answers.length > STREAMS / 2 && records;
      }, 'the records of what was refused');
      assert.deepEqual(answers.filter((answer) => ![502, 'cut off'].includes(answer)), []);
      for (const { decision, reason } of refused) assert.deepEqual([decision, reason], ['refuse', 'unfilterable_response']);

      // What stays open stays within the limit, and gives it back.
      posts.forEach(({ request }) => request.destroy());
      await atRest(target.stack);
      server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': type }).end(type === 'application/json' ? ANSWER : `data: ${ANSWER}\n\n`);
      assert.match((await target.post(LIST, { token })).text, /"listAccounts"/);
      await target.assertHealthy();
    });
  }
});
