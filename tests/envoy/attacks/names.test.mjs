// Rows N: names that only look like those of a rule. What is refused, the server does not hear of.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { JSON_HEADERS } from '../support/client.mjs';
import { PROTOCOLS } from '../support/protocols.mjs';
import { startScriptedServer } from '../support/scripted-server.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';

const POLICY = `audience: https://enterprise-ledger.orchestrator.lab/
baseline: {delegation: {scope: "ledger:Connect"}}
tools:
  read: {delegation: {scope: "ledger:ListAccounts"}}
  db_read: {delegation: {scope: "ledger:ListAccounts"}}
  db_admin: {require: {scopes: ["pii:read"]}, delegation: {scope: "ledger:ListAccounts"}}
  server1__tool: {delegation: {scope: "ledger:ListAccounts"}}
prompts:
  summary: {delegation: {scope: "ledger:ListAccounts"}}
resources:
  file:///data/*: {delegation: {scope: "ledger:ListAccounts"}}
  file:///data/secret/*: {require: {scopes: ["pii:read"]}, delegation: {scope: "ledger:ListAccounts"}}
  https://files.example/x/*: {delegation: {scope: "ledger:ListAccounts"}}
  db://table/row: {delegation: {scope: "ledger:ListAccounts"}}
  docs://*: {delegation: {scope: "ledger:ListAccounts"}}
  docs://board/*: {require: {scopes: ["pii:read"]}, delegation: {scope: "ledger:ListAccounts"}}
`;

const READ = 'db_read';
const LOOKALIKES = [
  'db_r\u0435ad', 'db_re\u0430d', 'db\u2017read', 'db_re\u200dad', 'db_read\u200b', '\ufeffdb_read', 'db_read\u2060', 'db_re\u00adad', '\u200fdb_read', '\u202edaer_bd', 'db_read\u2069',
  'ｄｂ＿ｒｅａｄ', 'db_\u24e1ead', 'db_\u{1d42b}ead',
  'db_read\u0301', 'db_rea\u010f', 'db_read\u00a0', 'db_read\u3000', 'db_read\u2028', 'db_read\u0000', '\u0000db_read', 'db_read\u0008\u0008', 'db_read\t', 'db_read\n', ' db_read',
  'db_read ', 'db_read\u007f', '\u001b[0mdb_read',
  'DB_READ', 'Db_read', 'db_\u211aread', '\u212aey', 'db_\u017fread', 'db_re%61d', 'db_read%00', 'db_re&#97;d', 'db_re\\u0061d', 'db_read/../db_read', '../db_read', 'db_read?', 'db_read#',
  'db_read;', 'db_read,db_admin', '"db_read"', "'db_read'", 'db_read\ud800', '', 'a'.repeat(129), 'a'.repeat(100_000),
];
const NO_NAMES = [['db_read'], { name: 'db_read' }, { toString: 'db_read' }, null, true, 1, 1.5, [], [['db_read']]];

const asUnicode = (text) => text.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
/** JSON with what stands in it as it is, and with every unit of a text escaped. */
const spellings = (value) => (typeof value === 'string' ? [JSON.stringify(value), `"${asUnicode(value)}"`] : [JSON.stringify(value)]);

const WAYS = {
  'tools/call': (name) => `"name":${name},"arguments":{}`,
  'prompts/get': (name) => `"name":${name}`,
  'completion/complete': (name) => `"ref":{"type":"ref/prompt","name":${name}},"argument":{"name":"a","value":""}`,
};
const WAYS_TO_RESOURCES = {
  'resources/read': (uri) => `"uri":${uri}`,
  'resources/subscribe': (uri) => `"uri":${uri}`,
  'resources/unsubscribe': (uri) => `"uri":${uri}`,
  'completion/complete': (uri) => `"ref":{"type":"ref/resource","uri":${uri}},"argument":{"name":"a","value":""}`,
};
const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

describe('names', () => {
  let server;
  let target;
  before(async () => {
    server = await startScriptedServer();
    target = await startTarget({ upstream: server, policy: () => POLICY });
  });
  afterEach(() => assert.deepEqual(server.take(), [], 'the server hears only of what was asked for by name'));
  after(() => target?.stop());

  for (const [protocol, send] of Object.entries(PROTOCOLS)) {
    /** Asks with `params`, members of a JSON object. Under the current revision, `mirrored` is the header that names the object. */
    const ask = (method, params, { scope = 'mcp:connect', mirrored } = {}) => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{${params}${mirrored === undefined ? '' : `,${META}`}}}`;
      const headers = { ...Object.fromEntries(JSON_HEADERS), authorization: `Bearer ${target.mint.token({ scope })}` };
      if (mirrored !== undefined) Object.assign(headers, { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, 'mcp-name': mirrored });
      return send(target.port, { headers, body });
    };

    async function assertRefused(asked) {
      const answer = await asked;
      const { error, result } = JSON.parse(answer.text);
      assert.equal(result, undefined);
      // Of a name that could be one, that no rule allows it; of what is no name, that it is none. Neither leads to a step-up.
      assert.ok((answer.status === 200 && error.code === 403) || (answer.status === 400 && error.code < -32_000), `${answer.status} ${answer.text}`);
      assert.equal(answer.headers.get('www-authenticate'), null);
    }
    async function assertSteppedUp(asked) {
      const answer = await asked;
      assert.equal(answer.status, 403);
      assert.match(answer.headers.get('www-authenticate'), /error="insufficient_scope", scope="mcp:connect pii:read"/);
    }
    /** The server hears it, byte for byte. */
    async function assertServed(asked, text) {
      assert.equal((await asked).status, 200);
      const [{ body }, ...more] = server.take();
      assert.ok(body.includes(text), body);
      assert.deepEqual(more, []);
    }

    test(`N01: a name of other letters, or with what nobody sees in it, names nothing, over ${protocol}`, async () => {
      for (const [method, params] of Object.entries(WAYS)) {
        await each([...LOOKALIKES, ...NO_NAMES], async (name) => {
          for (const text of spellings(name)) await assertRefused(ask(method, params(text)));
        });
        await assertRefused(ask(method, '"arguments":{}'));
      }
      // Escapes are another spelling of the same name.
      for (const text of spellings(READ)) await assertServed(ask('tools/call', WAYS['tools/call'](text)), text);
    });

    test(`N01: nor does the header that repeats it, over ${protocol}`, async () => {
      const encoded = (name) => `=?base64?${Buffer.from(name).toString('base64')}?=`;
      await each(LOOKALIKES.filter((name) => name.length < 1_000), async (name) => {
        const [text] = spellings(name);
        await assertRefused(ask('tools/call', WAYS['tools/call'](text), { mirrored: encoded(name) }));
        await assertRefused(ask('tools/call', WAYS['tools/call'](text), { mirrored: READ }));
        await assertRefused(ask('tools/call', WAYS['tools/call'](`"${READ}"`), { mirrored: encoded(name) }));
      });
      await each(['read', 'db_admin', 'DB_READ', 'db_read, db_read', '', `=?base64?${READ}?=`, encoded('read'), `${encoded(READ)}${encoded(READ)}`,
        `=?BASE64?${Buffer.from(READ).toString('base64')}?=`], async (name) => {
        await assertRefused(ask('tools/call', WAYS['tools/call'](`"${READ}"`), { mirrored: name }));
      });
      for (const mirrored of [READ, encoded(READ)]) await assertServed(ask('tools/call', WAYS['tools/call'](`"${READ}"`), { mirrored }), `"name":"${READ}"`);
    });

    test(`N03: a rule holds for its own name, and for none that begins, ends or goes on like it, over ${protocol}`, async () => {
      await each(['db_', 'db_*', 'db_?', 'db_rea', 'db_reads', 'db_read2', 'xdb_read', 'readwrite', 'rea', 'eread', 'read.', '.read', 'read-', 'r.ad', '.*', '*', 'server1_tool', 'server1__',
        'server1___tool', 'server1_', '_tool', 'tool', 'server1.tool', 'server1__tool__x',
        'server2__tool', 'db_admin2', 'db-admin', 'toString', 'constructor', '__proto__', 'hasOwnProperty', 'summary'], async (name) => {
        for (const scope of ['mcp:connect', 'mcp:connect pii:read']) await assertRefused(ask('tools/call', WAYS['tools/call'](`"${name}"`), { scope }));
      });
      await each(['summary2', 'sum', 'summar', 'read', 'db_read', '*'], async (name) => {
        for (const method of ['prompts/get', 'completion/complete']) await assertRefused(ask(method, WAYS[method](`"${name}"`)));
      });
      // The rule of the longer name is not that of the shorter one.
      await assertSteppedUp(ask('tools/call', WAYS['tools/call']('"db_admin"')));
      await assertServed(ask('tools/call', WAYS['tools/call']('"db_admin"'), { scope: 'mcp:connect pii:read' }), '"db_admin"');
      for (const name of ['read', 'db_read', 'server1__tool']) await assertServed(ask('tools/call', WAYS['tools/call'](`"${name}"`)), `"${name}"`);
    });

    test(`N04: a resource is below a prefix only if every server finds it there, over ${protocol}`, async () => {
      const elsewhere = [
        'file:///data/../etc', 'file:///data/./x', 'file:///data/..;/etc', 'file:///data/..;a=b/etc', 'file:///data/secret;/x', 'file:///data/secret;a=b/x', 'file:///data;/x',
        'file:///data/.. /etc', 'file:///data/ ../etc', 'file:///data/..', 'file:///data/.', 'file:///data/a/../../etc', 'file:///data/../data/secret/x', 'file:///data/..?x',
        'file:///data/x?/../../etc', 'file:///data/%2e%2e/etc', 'file:///data/%2E%2E/etc', 'file:///data/.%2e/etc', 'file:///data/%252e%252e/etc',
        'file:///data%2f..', 'file:///data/a%2f..%2f..%2fetc', 'file:///data/..%2fetc', 'file:///data/%5c..%5cetc', 'file:///data/..\\etc', 'file:///data\\x', 'file:///data//etc',
        'file:////data/x', 'file:///data/%2Fetc', 'file:///data/x%00', 'file:///data/x\u0000', 'file:///data/x%0d%0a', 'file:///data/x%0', 'file:///data/%', 'file:///data/%zz',
        'file:///data/%u002e/x', 'file:///data/%FF', 'file:///data/%C0%AE%C0%AE/etc',
        // The escape of a letter is the letter, to a server that takes escapes away.
        'file:///data/%73ecret/x', 'file:///data/secre%74/x', 'file:///data/%73%65%63%72%65%74/x', 'file:///%64ata/x', 'file:///data/x%2Dy',
        'FILE:///data/x', 'File:///data/x', 'file://localhost/data/x', 'file://127.0.0.1/data/x', 'file://evil/data/x', 'file:/data/x', 'file:data/x', 'file://data/x', '/data/x', 'data/x',
        '//data/x', 'data:,x', 'file:///database', 'file:///data', 'file:///DATA/x', 'file:///', 'file://', 'file:', '', '*', 'file:///*',
        'file:///data/x#y', 'file:///data/#/../etc', ' file:///data/x', 'file:///data/x\n', 'file:///d\u0430ta/x', 'file:///data/\uff0e\uff0e/etc', 'file:///data/\u2025/etc',
        'jar:file:///data/x', 'view-source:file:///data/x',
        'https://files.example/x/../y', 'https://files.example/y', 'https://files.example/x', 'https://FILES.example/x/a', 'https://files.example:443/x/a', 'https://files.example./x/a',
        'https://evil@files.example/x/a', 'https://files.example@evil.example/x/a', 'https://files.example.evil.example/x/a', 'http://files.example/x/a', 'https:files.example/x/a',
        'https:///files.example/x/a', 'https://files.example\\@evil.example/x/a',
        'docs://board:/x', 'docs://board:80/x', 'docs://team:8080/x', 'docs://@board/x', 'docs://:@board/x', 'docs://u@board/x', 'docs://BOARD/x', 'docs://boar%64/x', 'docs://board./x',
        'db://table/row/', 'db://table/rows', 'db://table/row?x', 'db://table/ROW', 'db://table/ro%77', 'db://table/./row', 'db://table', 'db://table/row ',
      ];
      for (const [method, params] of Object.entries(WAYS_TO_RESOURCES)) {
        await each([...elsewhere, ...NO_NAMES], async (uri) => {
          for (const text of spellings(uri)) await assertRefused(ask(method, params(text), { scope: 'mcp:connect pii:read' }));
        });
        const below = (uri) => params(JSON.stringify(uri));
        for (const uri of ['file:///data/x', 'file:///data/a/b%20c', 'file:///data/...', 'file:///data/secrets', 'https://files.example/x/a?b=c',
          'db://table/row', 'docs://team/x']) await assertServed(ask(method, below(uri)), uri);
        // The rule of the longer prefix holds.
        for (const uri of ['docs://board/x', 'file:///data/secret/', 'file:///data/secret/x', 'file:///data/secret/a/b']) await assertSteppedUp(ask(method, below(uri)));
      }
    });

    test(`N04: nor is it listened to, alone or beside another, over ${protocol}`, async () => {
      const listen = (...uris) => ask('subscriptions/listen', `"notifications":{"resourceSubscriptions":${JSON.stringify(uris)}}`, { mirrored: '' });
      await each(['file:///data/../etc', 'file:///data/%73ecret/x', 'FILE:///data/x', 'file:///etc/passwd'], async (uri) => {
        await assertRefused(listen(uri));
        await assertRefused(listen('file:///data/x', uri));
        await assertRefused(listen(uri, 'file:///data/x'));
      });
    });
  }
});
