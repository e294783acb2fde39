// Answers of an MCP server that name secrets among what may be shown, and what a client sees of them.
import assert from 'node:assert/strict';

export const JSON_TYPE = { 'content-type': 'application/json' };
export const STREAM = { 'content-type': 'text/event-stream' };
const LISTS = { tools: 'name', prompts: 'name', resources: 'uri', resourceTemplates: 'uriTemplate' };

export const result = (members, id = 1) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{${members}}}`;
export const tools = (...names) => `"tools":[${names.map((name) => `{"name":"${name}"}`)}]`;
export const BOTH = result(tools('secret', 'listAccounts', 'secret2'));
export const SEEN = Symbol('until the client has some of it');
export const BAIT = result(tools('secret'));

/** The data of the events of a stream, as WHATWG HTML section 9.2.6 reads them. */
function eventsOf(text) {
  const events = [];
  let data = [];
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  for (const line of lines.slice(0, -1)) {
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/su.exec(line);
    if (line === '') {
      if (data.length) events.push(data.join('\n'));
      data = [];
    } else if (name === 'data') data.push(value ?? '');
  }
  return events;
}

/** The objects in the lists of all messages of an answer. */
export function visible({ headers, text }) {
  const texts = /event-stream/i.test(headers.get('content-type')) ? eventsOf(text) : [text];
  return texts.flatMap((one) => JSON.parse(one)).flatMap(({ result: { ...members } = {} }) => Object.entries(LISTS)
    .flatMap(([list, key]) => (members[list] ?? []).map((element) => element[key])));
}

export const assertHidden = ({ headers, text, interim }) => assert.doesNotMatch(JSON.stringify([text, [...headers ?? []], interim]), /secret|evil/);

/** Answered in the gateway's own words. */
export function assertRefused(answer) {
  assertHidden(answer);
  assert.equal(answer.status, 502);
  assert.equal(JSON.parse(answer.text).error.code, -32603);
}

/** Refused, or cut off if it had begun. */
export function assertStopped(answer) {
  assertHidden(answer);
  assert.ok(answer.status >= 500 || !answer.whole, `${answer.status}, ${answer.whole ? 'whole' : 'cut off'}`);
}
