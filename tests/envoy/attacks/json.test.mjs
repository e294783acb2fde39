// JSON that two readers take for different messages. Sarah may list accounts; each of these would have some server read on.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { toolCall } from '../support/client.mjs';
import { request2 } from '../support/http2.mjs';
import { chunked, raw } from '../support/raw-http.mjs';
import { each, rowsOf } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';
import { ROWS } from './rows.mjs';

const row = rowsOf(ROWS);
const LIST = JSON.stringify(toolCall('listAccounts'));
const LIMIT = 1_048_576;

const NAME = '"name":"listAccounts"';
const named = (text) => LIST.replace(NAME, () => text);
const withArguments = (text) => LIST.replace('"arguments":{}', () => `"arguments":${text}`);
const withId = (text) => LIST.replace('"id":1', () => `"id":${text}`);
const bytes = (text) => Buffer.from(text, 'latin1');

describe('JSON', () => {
  let target;
  before(async () => { target = await startTarget({ echo: true }); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const refused = (code, ...bodies) => () => each(bodies, (body) => target.refuses(400, code, body));
  const passed = (...bodies) => each(bodies, (body) => target.passes('ledger:ListAccounts', body));

  row('J01', refused(-32700,
    named(`${NAME},"name":"getCustomerPII"`),
    named(`"name":"getCustomerPII",${NAME}`),
    named(`${NAME},${NAME}`),
    named(`${NAME},"n\\u0061me":"getCustomerPII"`),
    LIST.replace('{', '{"params":{"name":"getCustomerPII"},'),
    LIST.replace('{', '{"method":"ping",'),
    LIST.replace('{', '{"id":2,'),
    LIST.replace('{', '{"jsonrpc":"1.0",'),
    withArguments('{},"arguments":{"a":1}'),
    withArguments('{"a":1,"a":2}'),
    withArguments('{"a":[{"b":{"c":1,"\\u0063":2}}]}'),
    withArguments('{"":1,"":2}')));

  row('J04', refused(-32700,
    named(`${NAME},"Name":"getCustomerPII"`),
    named(`${NAME},"NAME":"getCustomerPII"`),
    named(`${NAME},"nam\\u0045":"getCustomerPII"`),
    LIST.replace('{', '{"param\u017f":{"name":"getCustomerPII"},'),
    LIST.replace('{', '{"param\\u017f":{"name":"getCustomerPII"},'),
    LIST.replace('{', '{"Method":"ping",'),
    LIST.replace('{', '{"ID":2,'),
    LIST.replace('{', '{"Result":{},'),
    named(`${NAME},"Arguments":{"a":1}`),
    named(`${NAME},"_Meta":{}`),
    named(`${NAME},"meta":{}`),
    named(`${NAME},"URI":"file:///a"`),
    named(`${NAME},"taskid":"a"`),
    named(`${NAME},"task_id":"a"`),
    named(`${NAME},"tas\u212a":{}`),
    named(`${NAME},"inputresponses":{}`),
    named(`${NAME},"Cursor":"a"`),
    withArguments('{"a":1,"A":2}')));

  row('J05', refused(-32700,
    ...['jsonrpc', 'id', 'method', 'params', 'name', 'arguments'].flatMap((member) => [
      LIST.replace(`"${member}"`, `"${member[0].toUpperCase()}${member.slice(1)}"`), LIST.replace(`"${member}"`, `"${member.toUpperCase()}"`)]),
    LIST.replace('"params"', '"param\u017f"')));

  row('J07', refused(-32700,
    named(`${NAME},"name\\u0000":"getCustomerPII"`),
    named(`${NAME},"\\u0000name":"getCustomerPII"`),
    named(`${NAME},"na\\u0007me":"getCustomerPII"`),
    named(`${NAME},"name\\u007f":"getCustomerPII"`),
    named(`${NAME},"name\\u0085":"getCustomerPII"`),
    LIST.replace('{', '{"params\\u0000":{"name":"getCustomerPII"},'),
    LIST.replace('{', '{"method\\n":"ping",'),
    withArguments('{"a\\u0000":1}'),
    named(`${NAME},"name\0":"getCustomerPII"`)));

  row('J08', () => each([
    [-32602, named('"name":"listAccounts\\u0000"')], [-32602, named('"name":"\\u0000listAccounts"')], [-32602, named('"name":"list\\nAccounts"')], [-32602, named('"name":"listAccounts\\u007f"')],
    [-32602, named('"name":"listAccounts\\u0085"')], [-32602, named(`${NAME},"cursor":"a\\u0000"`)],
    ...['file:///a\\u0000b', 'file:///a\\r\\nb'].map((uri) => [-32602, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"${uri}"}}`]),
    [-32600, withId('"a\\u0000"')], [-32600, withId('"a\\r\\nb"')], [-32700, named('"name":"listAccounts\0"')],
  ], ([code, body]) => target.refuses(400, code, body)));

  row('J09', async () => {
    await target.refuses(403, 403, LIST.replace('tools/call', 'tools\\/call').replace('listAccounts', 'getCustomerP\\u0049I'));
    await target.refuses(403, 403, named('"\\u006eame":"\\u0067etCustomerPII"'));
    await target.refuses(200, 403, named('"name":"list\\\\u0041ccounts"'));
    await passed(LIST.replace('tools/call', 'tools\\/c\\u0061ll').replace('listAccounts', 'list\\u0041ccounts'), named('"\\u006eame":"listAccounts"'), withId('"\\u0031"'),
      ' \r\n\t{ "params" : {"arguments":{"z":1.0e+2,"a":"\\u0041\\/ é😀", "b":[ ]} ,"name":"listAccounts"},\n"method":"tools\\/call","id":-7,"jsonrpc":"2.0"}  \n');
  });

  row('J10', refused(-32700, `\ufeff${LIST}`, `\ufeff\ufeff${LIST}`, ` \ufeff${LIST}`, bytes(`\xff\xfe${LIST}`), bytes(`\xfe\xff${LIST}`), Buffer.from(`\ufeff${LIST}`, 'utf16le'), `${LIST}\ufeff`));

  row('J13', async () => {
    const disguised = LIST.replace('listAccounts', 'getCustomer+AFA-II');
    const as = (type, body) => ({ headers: target.headers([['content-type', type]]), body });
    await each(['utf-7', 'UTF-7', '"utf-7"', 'unicode-1-1-utf-7', 'utf-16', 'utf-16le', 'utf-32', 'iso-8859-1', 'us-ascii', 'ibm037', 'utf8', '', 'utf-8;charset=utf-7', 'utf-8 x'], async (charset) => {
      await target.refuses(415, 415, as(`application/json; charset=${charset}`, disguised));
    });
    await target.refuses(415, 415, as('application/json; charset=utf-16', Buffer.from(LIST, 'utf16le')));
    await target.refuses(400, -32700, Buffer.from(LIST, 'utf16le'));
    await target.refuses(200, 403, as('application/json; charset=utf-8', disguised));
    await target.passes('ledger:ListAccounts', as('application/json; charset="UTF-8"', LIST));
  });

  row('J14', refused(-32700,
    ...['\\ud800', '\\udd1e\\ud834', '\\udc00', '\\uD800\\u0041', '\\ud800x', '\\ud800\\\\udc00'].flatMap((text) => [named(`"name":"${text}"`), named(`${NAME},"${text}":1`), withArguments(`{"a":"${text}"}`), withId(`"${text}"`)]),
    // Surrogates, overlong forms and what is beyond Unicode, in bytes.
    ...['\xed\xa0\x80', '\xed\xa0\xbd\xed\xb8\x80', '\xc0\xaf', '\xc1\xa7', '\xe0\x81\x9f', '\xf4\x90\x80\x80', '\xff', '\xc3', '\xf8\x88\x80\x80\x80'].map((text) => bytes(withArguments(`{"a":"${text}"}`)))));

  row('J16', refused(-32700, ...['NaN', 'Infinity', '-Infinity', '+Infinity', 'nan', 'Inf', '1e999', '-1e400'].flatMap((number) => [withArguments(`{"z":${number}}`), withId(number)])));

  row('J17', async () => {
    await refused(-32600, ...['9007199254740992', '-9007199254740992', '9007199254740993', '9223372036854775808123', '18446744073709551616', `"${'a'.repeat(257)}"`, `"${'é'.repeat(129)}"`].map(withId))();
    await passed(withId('9007199254740991'), withId('-9007199254740991'), withId(`"${'a'.repeat(256)}"`), withArguments('{"big":9007199254740993,"tiny":5e-324}'));
  });

  row('J18', refused(-32600, ...['1.0', '1.5', '1e0', '1E0', '-0.0', '0.1e1'].map(withId)));

  row('J20', async () => {
    await each([63, 128, 129, 5_000, 100_000, 400_000].flatMap((depth) => [['[', ']'], ['{"a":', '}']].flatMap(([open, close]) => [
      withArguments(`{"a":${open.repeat(depth)}`), withArguments(`{"a":${open.repeat(depth)}0${close.repeat(depth)}}`)])).filter(({ length }) => length < LIMIT),
    (body) => target.refuses(400, -32700, body));
    await refused(-32700, '['.repeat(100_000), `${'['.repeat(70)}${LIST}${']'.repeat(70)}`, named(`${NAME},"_meta":${'{"a":'.repeat(70)}0${'}'.repeat(70)}`))();
    await passed(withArguments(`{"a":${'['.repeat(60)}${']'.repeat(60)}}`));
  });

  row('J21', refused(-32700, ...['x', LIST, `\n${LIST.replace('listAccounts', 'getCustomerPII')}`, '\0', ']', '}', ',', ' null', '//', '\x1e', '\x1a', '\\u0020', '""'].map((rest) => `${LIST}${rest}`)));

  row('J22', async () => {
    await each(['\xa0', '\ufeff', '\v', '\f', '\0', '\u2028', '\u2003', '\u0085', '\x1e'], (space) => refused(-32700, `${space}${LIST}`, `${LIST}${space}`, LIST.replace(':', `:${space}`))());
    await passed(` \r\n\t${LIST} \r\n\t`, LIST.replaceAll(':', ' \t\r\n: '));
  });

  row('J23', refused(-32700, `/*c*/${LIST}`, `${LIST}//c`, `#c\n${LIST}`, LIST.replaceAll('"', "'"), LIST.replace('"id"', 'id'), LIST.replace('"id"', "'id'"),
    LIST.replace(/\}$/, ',}'), LIST.replace('"id"', ',"id"'), LIST.replace(',', ';'), LIST.replace(':', '='), LIST.slice(0, -1), LIST.replace('listAccounts', 'list\nAccounts'), LIST.replace('listAccounts', 'list\\\nAccounts'),
    ...['+1', '.5', '1.', '01', '-01', '0x1', '1_0', '1e', '-', '--1', 'True', 'undefined', 'nul', '1 2', '"\\x41"', '"\\\'"', '"\\u00g0"', '`a`', '(1)', '!1', '"a" "b"'].map((value) => withArguments(`{"a":${value}}`)),
    ...['[1,]', '[,1]', '[1 2]', '{"a"}', '{"a" 1}', '{,}', '[1}', '{"a":1]', '{1:2}'].map((value) => withArguments(`{"a":${value}}`)), withId('01'), withId('0x1')));

  row('J24', async () => {
    const holders = (member) => [LIST.replace('{', `{${member},`), named(`${NAME},${member}`), named(`${NAME},"_meta":{${member}}`), named(`${NAME},"ref":{${member}}`)];
    const inArguments = (member) => [withArguments(`{${member}}`), withArguments(`{"a":[{"b":{${member}}}]}`)];
    for (const name of ['__proto__', '\\u005f_proto__', '__prot\\u006f__']) {
      await each(['{"name":"getCustomerPII"}', 'null', '1'], (value) => refused(-32700, ...holders(`"${name}":${value}`), ...inArguments(`"${name}":${value}`))());
    }
    await refused(-32700, ...holders('"constructor":{"prototype":{"name":"getCustomerPII"}}'))();
    await passed(...inArguments('"constructor":{"prototype":{"a":1}}'), ...inArguments('"prototype":{},"__proto":1,"toString":2'), withArguments('{"a":"__proto__"}'));
  });

  row('J25', async () => {
    const filled = (length) => withArguments(`{"a":"${'a'.repeat(length - LIST.length - 6)}"}`);
    await passed(filled(LIMIT), filled(900_000));
    const members = (count) => `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join()}}`;
    await refused(-32700, withArguments(members(60_000)), withArguments(`{"a":[${'0,'.repeat(400_000)}0]}`), withArguments(`{"a":[${'{"a":0},'.repeat(11_000)}0]}`), withArguments(`{"a":[${'[],'.repeat(110_000)}0]}`))();
    // Over the limit, announced or not. On HTTP/2 the answer may be cut off with the upload.
    for (const length of [LIMIT + 1, 3 * LIMIT]) {
      const body = Buffer.from(filled(length));
      assert.equal((await target.post(body))?.status, 413);
      assert.equal((await raw(target.port, { headers: target.headers([['transfer-encoding', 'chunked']]), body: chunked([body.subarray(0, LIMIT), body.subarray(LIMIT)]) }))?.status, 413);
      assert.equal((await request2(target.port, { headers: target.headers(), pieces: [body] })).status ?? 413, 413);
    }
    assert.deepEqual(target.echo.take(), []);
  });

  row('J26', async () => {
    // Composed and decomposed, from other alphabets, with what cannot be seen, in another case.
    await each(['listAccounts\u0301', 'l\u00efstAccounts', 'li\u0308stAccounts', 'l\u0456stAccounts', 'list\u0410ccounts', 'list\u200dAccounts', '\u202elistAccounts', 'listAccounts\ufeff', '\uff4cistAccounts', 'list\u212accounts',
      'ListAccounts', 'LISTACCOUNTS', 'listAccounts ', ' listAccounts', 'listAccount', 'listAccountsX', 'list_accounts', '*', '.*', '', 'listAccounts,getCustomerPII', '../getCustomerPII', 'a'.repeat(129)], async (name) => {
      await target.refuses(200, 403, named(`"name":${JSON.stringify(name)}`));
    });
    await passed(withArguments('{"a":"\u00e9","b":"e\u0301","\u00e9":1,"e\u0301":2}'));
  });

  row('J27', refused(-32600, '', ' \r\n', 'null', '1', '"x"', 'true', '{}', '[]', '[1]', '""', JSON.stringify(LIST), '{"a":1}'));
});
