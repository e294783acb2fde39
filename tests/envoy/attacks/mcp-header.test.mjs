// Headers that repeat what the body says, or do not: it is the body that is judged.
import { after, before, describe } from 'node:test';
import assert from 'node:assert/strict';
import { JOHN } from '../../../demo/people.mjs';
import { current, toolCall } from '../support/client.mjs';
import { each, rowsOf } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';
import { ROWS } from './rows.mjs';

const row = rowsOf(ROWS);
const base64 = (text) => Buffer.from(text, 'latin1').toString('base64');
const isMirrored = ([name]) => name === 'mcp-name' || name === 'mcp-method';

describe('mirrored headers', () => {
  let target;
  before(async () => { target = await startTarget({ echo: true }); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const sound = (tool = 'listAccounts', options = {}) => {
    const { headers, body } = current('tools/call', { name: tool, arguments: {} }, options);
    return { headers: target.headers(headers), body };
  };
  /** That call with these headers in place of those of their names; no value is no header. */
  const withHeaders = (more, request = sound()) => ({
    ...request, headers: [...request.headers.filter(([name]) => !more.some(([other]) => other === name)), ...more.filter(([, value]) => value !== undefined)],
  });
  const mismatch = (more, request) => target.refuses(400, -32020, withHeaders(more, request));
  const passes = (request) => target.passes('ledger:ListAccounts', request);

  row('H01', async () => {
    await passes(sound());
    await target.refuses(403, 403, sound('getCustomerPII'));
    // The forbidden tool under an allowed name, and the other way round.
    await mismatch([['mcp-name', 'listAccounts']], sound('getCustomerPII'));
    await each(['getCustomerPII', 'getAccount', 'LISTACCOUNTS', 'listaccounts', 'listAccounts2', '', '*', 'listAccounts, getCustomerPII', 'listAccounts;a', '"listAccounts"', 'list%41ccounts', undefined], (name) => mismatch([['mcp-name', name]]));
    await each(['tools/list', 'ping', 'TOOLS/CALL', 'tools/call/', '', 'tools/call, ping', undefined], (method) => mismatch([['mcp-method', method]]));
    // Repeated, though each value be right.
    for (const name of ['mcp-name', 'mcp-method']) {
      const right = name === 'mcp-name' ? 'listAccounts' : 'tools/call';
      await each([[right, right], [right, 'other'], ['other', right]], ([one, two]) => mismatch([[name, one], [name, two]]));
    }
    await mismatch([['mcp-name', 'list\xc3\xa9']]);
    // Every method whose object has a name.
    for (const [method, params] of [['prompts/get', { name: 'a' }], ['resources/read', { uri: 'file:///a' }]]) {
      const { headers, body } = current(method, params, { name: 'listAccounts' });
      await target.refuses(400, -32020, { headers: target.headers(headers), body });
    }
  });

  row('H02', async () => {
    for (const version of [undefined, '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25']) {
      const old = (tool, name, method) => ({ headers: target.headers([...(version ? [['mcp-protocol-version', version]] : []), ['mcp-name', name], ['mcp-method', method]]), body: JSON.stringify(toolCall(tool)) });
      await target.refuses(403, 403, old('getCustomerPII', 'listAccounts', 'tools/call'));
      await target.refuses(403, 403, old('getCustomerPII', 'x', 'ping'));
      // What says nothing in this revision does not reach a server that might believe it.
      await target.passes('ledger:ListAccounts', old('listAccounts', 'getCustomerPII', 'tools/list'), ({ headers }) => assert.deepEqual(headers.filter(isMirrored), []));
    }
  });

  row('H04', async () => {
    await passes(withHeaders([['mcp-name', `=?base64?${base64('listAccounts')}?=`]]));
    await passes(withHeaders([['mcp-name', `=?base64?${base64('listAccounts')}?=`]], sound('listAccounts', { name: 'x' })));
    const [account, padded] = [sound('getAccount'), base64('getAccount')];
    assert.ok(padded.endsWith('dA=='));
    await each([
      `=?BASE64?${base64('listAccounts')}?=`, `=?Base64?${base64('listAccounts')}?=`, `=?base64?${base64('listAccounts')}`, `=?base64?${base64('listAccounts')}=?=`, `=?base64? ${base64('listAccounts')}?=`, '=?base64?!?=', '=?base64??=', '=?base64?',
      '=?', `=?utf-8?b?${base64('listAccounts')}?=`, `=?utf-8?q?listAccounts?=`, `=?base64?${base64('getCustomerPII')}?=`, `=?base64?${base64(`=?base64?${base64('listAccounts')}?=`)}?=`, `=?base64?${base64('listAccounts\xff')}?=`,
      `=?base64?${base64('listAccounts\0')}?=`, `=?base64?${base64('listAccounts ')}?=`, base64('listAccounts'), `x=?base64?${base64('listAccounts')}?=`, `=?base64?${base64('listAccounts')}?= x`,
    ], (name) => mismatch([['mcp-name', name]]));
    // One base64 of one text: without its padding, with bits to spare, in the other alphabet.
    await target.passes('ledger:GetAccount', withHeaders([['mcp-name', `=?base64?${padded}?=`]], account));
    await each([padded.replace('==', ''), padded.replace('dA==', 'dB=='), padded.replace('==', '=')], (name) => mismatch([['mcp-name', `=?base64?${name}?=`]], account));
    // The method has no encoded form, and no tool is named like one.
    await mismatch([['mcp-method', `=?base64?${base64('tools/call')}?=`]]);
    const sentinel = `=?base64?${base64('listAccounts')}?=`;
    await target.refuses(200, 403, sound(sentinel));
  });

  row('H06', async () => {
    const meta = (version) => sound('listAccounts', { version });
    await each(['2025-11-25', '2025-03-26', '2099-01-01', '', '2026-07-28 '], (version) => mismatch([], meta(version)));
    for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25', undefined]) await mismatch([['mcp-protocol-version', version]]);
    await each(['2099-01-01', '2024-11-04', '2026-07-29', '', '2026-7-28', 'latest', '2026-07-28x', '2026-07-28, 2025-03-26', '2026-07-28,2026-07-28', 'DRAFT-2026'], (version) => target.refuses(400, -32022, withHeaders([['mcp-protocol-version', version]])));
    await each([['2026-07-28', '2025-03-26'], ['2025-03-26', '2026-07-28'], ['2026-07-28', '2026-07-28']], ([one, two]) => mismatch([['mcp-protocol-version', one], ['mcp-protocol-version', two]]));
    await mismatch([['mcp-protocol-version', '2026-07-28\xff']]);
    // What an earlier revision has means nothing in this one, and does not go up.
    const earlier = [['mcp-session-id', 'x'], ['last-event-id', '1']];
    await target.passes('ledger:ListAccounts', withHeaders(earlier), ({ headers }) => assert.deepEqual(headers.filter(([name]) => earlier.some(([other]) => name === other)), []));
    // What a request must say of itself.
    for (const member of ['protocolVersion', 'clientCapabilities']) {
      const name = `io.modelcontextprotocol/${member}`;
      await target.refuses(400, -32602, sound('listAccounts', { meta: { [name]: undefined } }));
      await target.refuses(400, -32602, sound('listAccounts', { meta: { [name]: 1 } }));
      await target.refuses(400, -32700, sound('listAccounts', { meta: { [name.toUpperCase()]: {} } }));
    }
  });

  row('H08', async () => {
    const retry = (tool, more, token) => {
      const { headers, body } = current('tools/call', { name: tool, arguments: {}, inputResponses: { a: { action: 'accept', content: {} } }, requestState: 'state-of-a-call-by-sarah', ...more });
      return { headers: target.headers(headers, token), body };
    };
    const johns = target.mint.token({ sub: JOHN.user });
    await target.refuses(403, 403, retry('getCustomerPII'));
    await target.refuses(403, 403, retry('getCustomerPII', {}, johns));
    await target.refuses(200, 403, retry('dropAllAccounts'));
    // Allowed by its own rule alone, and for as long as it is.
    await target.passes('ledger:ListAccounts', retry('listAccounts'));
    await target.refuses(401, 401, retry('listAccounts', {}, target.mint.token({ exp: 1 })));
    await target.refuses(400, -32700, { ...retry('listAccounts'), body: retry('listAccounts').body.replace('"requestState"', '"request_state":"","requestState"') });
    await target.refuses(400, -32700, { ...retry('listAccounts'), body: retry('listAccounts').body.replace('"requestState"', '"RequestState"') });
    assert.equal((await target.post(retry('listAccounts', { requestState: 'x'.repeat(1_100_000) }).body)).status, 413);
    assert.deepEqual(target.echo.take(), []);
  });
});
