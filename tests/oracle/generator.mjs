// Requests: sound ones, and sound ones to which one to three things were done that have fooled a filter or a server before.
import { deflateSync, gzipSync } from 'node:zlib';
import { chunked } from '../envoy/support/raw-http.mjs';

const VERSIONS = [undefined, '2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'];
const STATELESS = '2026-07-28';
const NAMES = ['greet', 'greet', 'greet', 'greet', 'secret_tool'];
const ARGUMENTS = [{}, { name: 'secret_tool' }, { n: 1.5e3, b: false, z: null, '-': -0 }, { text: 'caf\u00e9 \ud83d\ude00 "\\/\n' }, { deep: [[{ a: [] }]] },
  { method: 'tools/call', params: { name: 'secret_tool' } }, { name: ['secret_tool'], NAME: 'x' }, { big: 9007199254740993, tiny: 5e-324 }, { 'a b': '\u0000' }, undefined];
const METHODS = ['tools/list', 'ping', 'prompts/list', 'prompts/get', 'resources/read', 'resources/subscribe', 'completion/complete', 'logging/setLevel', 'initialize',
  'server/discover', 'subscriptions/listen', 'tasks/get', 'tasks/result', 'tools/call ', ' tools/call', 'Tools/Call', '/tools/call', 'tools//call', 'tools/call\0', 'tools\u2215call',
  'sampling/createMessage', 'notifications/initialized', 'notifications/cancelled', 'notifications/tools/call', '', 'rpc.discover'];
const ODD_NAMES = ['secret_tool', 'Greet', 'GREET', ' greet', 'greet ', 'greet\0', 'secret_tool\0', 's\u0435cret_tool', 'greet\u200d', 'secret+AF8-tool', 'secret\uff3ftool', 'gre\u0308et',
  '__proto__', 'constructor', 'toString', '', 'greet/../secret_tool', 'greet,secret_tool', '*', ['secret_tool'], { name: 'secret_tool' }, null, 1, true, '\ud800'];
const IDS = [0, -1, 'a', '', 1.0, 1.5, 9007199254740991, 9007199254740993, null, {}, [], true, 'a'.repeat(2000)];
const SIGNIFICANT = ['jsonrpc', 'id', 'method', 'params', 'name', 'arguments', 'result', 'error', '_meta'];

/** One request: `{ kind, method, path, headers, body, sent }`; `sent`, if there, is how the body goes over the wire. */
export function generate(source) {
  const request = soundRequest(source);
  const changes = source.below(10) === 0 ? [] : Array.from({ length: source.pick([1, 1, 1, 2, 3]) }, () => source.pick(CHANGES));
  // In the order of CHANGES: first the message, then its text, which is bytes from then on, then what is around it.
  changes.sort((a, b) => CHANGES.indexOf(a) - CHANGES.indexOf(b));
  for (const change of changes) change(request, source);
  const { message, finish = [], ...rest } = request;
  rest.body ??= Buffer.from(JSON.stringify(message));
  for (const last of finish) last(rest, source);
  if (!rest.sent) rest.headers.push(['content-length', rest.body.length]);
  return { ...rest, kind: changes.map(({ name }) => name).join(' + ') || 'sound' };
}

function soundRequest({ pick }) {
  const version = pick(VERSIONS);
  const name = pick(NAMES);
  const params = { name, arguments: pick(ARGUMENTS) };
  const headers = [['content-type', 'application/json'], ['accept', 'application/json, text/event-stream']];
  if (version) headers.push(['mcp-protocol-version', version]);
  if (version === STATELESS) {
    headers.push(['mcp-method', 'tools/call'], ['mcp-name', name]);
    const prefix = 'io.modelcontextprotocol';
    params._meta = { [`${prefix}/protocolVersion`]: version, [`${prefix}/clientInfo`]: { name: 'oracle', version: '1' }, [`${prefix}/clientCapabilities`]: {} };
  }
  return { method: 'POST', path: '/mcp', headers, message: { jsonrpc: '2.0', id: 1, method: 'tools/call', params } };
}

const set = (request, name, ...values) => {
  request.headers = [...request.headers.filter(([one]) => one !== name), ...values.filter((value) => value !== undefined).map((value) => [name, value])];
};
const isStateless = ({ headers }) => headers.some(([name, value]) => name === 'mcp-protocol-version' && value === STATELESS);
const mirror = (request, name, value) => { if (isStateless(request)) set(request, name, String(value)); };

/** Changes the text of the message, Latin-1 for UTF-8 so that any byte can be written. */
const inText = (change) => (request, source) => {
  const text = request.body?.toString('latin1') ?? Buffer.from(JSON.stringify(request.message)).toString('latin1');
  request.body = Buffer.from(change(text, source, request), 'latin1');
};
const later = (change) => (request) => { (request.finish ??= []).push(change); };
const replaceOne = (text, pattern, { pick }, replace) => {
  const matches = [...text.matchAll(pattern)];
  if (!matches.length) return text;
  const { index, 0: match } = pick(matches);
  return text.slice(0, index) + replace(match) + text.slice(index + match.length);
};
const escaped = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
/** `name` as other parsers might take it for `name`. */
const variant = (name, { below, pick }) => pick([
  () => name, () => name, () => name[0].toUpperCase() + name.slice(1), () => name.toUpperCase(), () => `${name}\\u0000`, () => `${name} `, () => `\xef\xbb\xbf${name}`,
  () => { const at = below(name.length); return name.slice(0, at) + escaped(name[at]) + name.slice(at + 1); },
  () => name.replace('s', '\xc5\xbf'), () => name.replace('s', '\\u017f'), () => name.replace('k', '\xe2\x84\xaa'),
])();
const member = (source) => {
  const name = source.pick(SIGNIFICANT);
  const value = source.pick(name === 'name' ? ['"secret_tool"', '"greet"'] : name === 'method' ? ['"tools/call"', '"ping"', '"notifications/initialized"']
    : name === 'params' ? ['{"name":"secret_tool","arguments":{}}'] : ['{}', '{"name":"secret_tool"}', '1', '"2.0"', 'null']);
  return `"${variant(name, source)}":${value}`;
};

const CHANGES = Object.entries({
  // What the message says.
  methods(request, { pick, below }) {
    const { message } = request;
    message.method = pick(METHODS);
    if (below(2)) delete message.id;
    if (below(2)) Object.assign(message.params, { uri: 'file:///a', protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'oracle', version: '1' } });
    mirror(request, 'mcp-method', message.method.replace(/[^ -~]/g, ''));
  },
  names(request, { pick }) {
    request.message.params.name = pick(ODD_NAMES);
    mirror(request, 'mcp-name', String(pick([request.message.params.name, 'greet'])).replace(/[^ -~]/g, ''));
  },
  ids({ message }, { pick }) {
    message.id = pick(IDS);
  },
  noId({ message }) { delete message.id; },
  response({ message }, { pick }) {
    Object.assign(message, pick([{ result: {} }, { error: { code: 1, message: 'x' } }, { result: null }, { result: { name: 'secret_tool' }, error: null }]));
    if (pick([true, false])) delete message.method;
  },
  version({ message }, { pick }) { message.jsonrpc = pick(['1.0', 2, '2.00', undefined, null, ['2.0']]); },
  params({ message }, { pick }) { message.params = pick([['secret_tool', {}], 'secret_tool', null, undefined, { 0: 'secret_tool' }, { params: { name: 'secret_tool' } }]); },
  args({ message }, { pick }) {
    if (message.params) message.params.arguments = pick(['{"name":"secret_tool"}', [], null, 1, true, { arguments: {} }, ...['{"__proto__":{"a":1}}', '{"a":{"__proto__":null}}', '{"prototype":{}}'].map((text) => JSON.parse(text)), { constructor: { prototype: {} } }]);
  },
  extra({ message }, { pick }) {
    Object.assign(message.params ?? {}, pick([{ task: { ttl: 1 } }, { requestState: 'x' }, { inputResponses: { a: {} } }, { tool: 'secret_tool' }, { _meta: { progressToken: 1 } }, { ref: { name: 'secret_tool' } }]));
  },
  order(request) { request.message = Object.fromEntries(Object.entries(request.message).reverse()); },
  // How it is written.
  duplicate: inText((text, source) => (source.below(2) ? replaceOne(text, /\{(?!\})/g, source, () => `{${member(source)},`)
    : replaceOne(text, /(?<!\{)\}/g, source, () => `,${member(source)}}`))),
  escapes: inText((text, source) => { let out = text; for (let i = source.below(6); i >= 0; i -= 1) out = replaceOne(out, /(?<=")[\w/]|(?<="\w*)\w(?=\w*")/g, source, escaped); return out; }),
  slashes: inText((text) => text.replaceAll('/', '\\/')),
  fold: inText((text, source) => replaceOne(text, /"(jsonrpc|id|method|params|name|arguments)"(?=:)/g, source, (key) => `"${variant(key.slice(1, -1), source)}"`)),
  space: inText((text, source) => replaceOne(text, /[:,{}]/g, source, (mark) => ` ${mark}\r\n\t`)),
  oddSpace: inText((text, source) => { const space = source.pick(['\xc2\xa0', '\xef\xbb\xbf', '\v', '\f', '\0', '\xe2\x80\xa8', '\x1e']); return source.pick([`${space}${text}`, `${text}${space}`, replaceOne(text, /:/g, source, () => `:${space}`)]); }),
  lenient: inText((text, source) => source.pick([`/*c*/${text}`, `${text}//c`, `#\n${text}`, text.replace(/\}$/, ',}'), text.replaceAll('"', "'"), text.replace('"id"', 'id'), text.replace(':1,', `:${source.pick(['+1', '.5', '01', '0x1', '1.', 'NaN', 'Infinity', '-'])},`), text.replace('greet', 'gre\net')])),
  numbers: inText((text, source) => text.replace(':1,', `:${source.pick(['1.0', '1e0', '1E400', '-0', '1e-400', '9223372036854775808123', '1e999'])},`)),
  numbersInArguments: inText((text, source) => text.replace('"arguments":{', `"arguments":{"number":${source.pick(['1E400', '-0', '-0.0', '1e-400', '9223372036854775808123', '0.1e1', '123456789012345678901234567890.5'])}${text.includes('"arguments":{}') ? '' : ','}`)),
  surrogates: inText((text, source) => replaceOne(text, /(?<=")(?=[\w ]*")/g, source, () => source.pick(['\\ud800', '\\udd1e\\ud834', '\\ud83d\\ude00', '\\uD800\\u0041']))),
  badUtf8: inText((text, source) => replaceOne(text, /(?<=")(?=[\w ]*")|(?<=_)/g, source, () => source.pick(['\xc1\xa7', '\xed\xa0\x80', '\xff', '\xf4\x90\x80\x80', '\xc3', '\xe0\x81\x9f']))),
  overlong: inText((text, source) => replaceOne(text, /[_"a-z]/g, source, (char) => String.fromCharCode(0xc0 | (char.charCodeAt(0) >> 6), 0x80 | (char.charCodeAt(0) & 0x3f)))),
  bom: inText((text) => `\xef\xbb\xbf${text}`),
  nested: inText((text, source) => { const depth = source.pick([10, 58, 62, 64, 70, 129, 5_000]); return text.replace('"arguments":{', `"arguments":{"d":${'['.repeat(depth)}${']'.repeat(depth)}${text.includes('"arguments":{}') ? '' : ','}`); }),
  large: inText((text, source) => text.replace('"arguments":{', `"arguments":{"l":${source.pick([() => `"${'x'.repeat(300_000)}"`, () => `[${'1,'.repeat(40_000)}1]`, () => `{${Array.from({ length: 5_000 }, (_, i) => `"k${i}":0`)}}`])()}${text.includes('"arguments":{}') ? '' : ','}`)),
  trailing: inText((text, source) => text + source.pick(['x', text, `\n${text}`, text.replace('greet', 'secret_tool'), '\0', ']', '}', ' ', '\r\n'])),
  batch: inText((text, source) => source.pick([`[${text}]`, `[${text},${text.replace(':1,', ':2,').replace('"arguments":{', '"arguments":{"second":2,')}]`.replace(',}', '}'), `[${text},${text.replace('greet', 'secret_tool')}]`, '[]', `[[${text}]]`, `{"0":${text}}`])),
  notAnObject: inText((text, { pick }) => pick(['', 'null', '1', '"x"', 'true', '{}', '[]', JSON.stringify(text)])),
  bits: inText((text, { below }) => { const bytes = Buffer.from(text, 'latin1'); for (let i = below(3); i >= 0 && bytes.length; i -= 1) bytes[below(bytes.length)] ^= 1 << below(8); return bytes.toString('latin1'); }),
  cut: inText((text, { below }) => text.slice(0, below(text.length))),
  drop: inText((text, { below }) => { const at = below(text.length); return text.slice(0, at) + text.slice(at + 1 + below(3)); }),
  // In which bytes it is sent.
  utf7: inText((text, { pick }, request) => {
    set(request, 'content-type', `application/json; charset=${pick(['utf-7', 'UTF-7', '"utf-7"', 'unicode-1-1-utf-7'])}`);
    return text.replace(/greet|secret_tool/, 'secret+AF8-tool');
  }),
  charset: later((request, { pick }) => {
    const charset = pick(['utf-16le', 'utf-16', 'utf-16be', 'utf-32', 'latin1', 'utf-8', 'UTF-8', '"utf-8"', 'utf8', 'x', '']);
    set(request, 'content-type', `application/json${pick([';', '; ', ' ; '])}charset=${charset}`);
    if (charset.startsWith('utf-16')) request.body = Buffer.from(`${pick(['', '\ufeff'])}${request.body.toString()}`, 'utf16le');
    if (charset === 'utf-16be') request.body = request.body.swap16();
  }),
  utf16: later((request, { pick }) => { request.body = Buffer.from(`${pick(['', '\ufeff'])}${request.body.toString()}`, 'utf16le'); if (pick([0, 1])) request.body.swap16(); }),
  encoding: later((request, { pick }) => {
    const encoding = pick([undefined, 'gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'gzip, identity', 'identity', '']);
    set(request, 'content-encoding', encoding);
    if (pick([true, true, false])) request.body = (encoding === 'deflate' ? deflateSync : gzipSync)(request.body);
  }),
  contentType: later((request, { pick }) => set(request, 'content-type', ...pick([[], ['text/plain'], ['application/json-rpc'], ['application/vnd.x+json'], ['text/plain; a=application/json'], ['application/jsonp'], ['APPLICATION/JSON'],
    ['application/json, text/plain'], ['application/json , text/plain'], ['application/json', 'text/plain'], ['application/json', 'application/json; charset=utf-7'], ['application/json;'], ['application/json; charset=utf-8; charset=utf-7'], ['application/x-www-form-urlencoded'], ['application/json; boundary=x']]))),
  pieces: later((request, { below }) => {
    const pieces = [];
    for (let at = 0; at < Math.min(request.body.length, 2_000);) { const end = Math.min(at + 1 + below(200), request.body.length); pieces.push(request.body.subarray(at, end)); at = end; }
    if (request.body.length > 2_000) return;
    request.sent = chunked(pieces, below(2) ? [['x-trailer', '1'], ['mcp-name', 'secret_tool'], ['content-type', 'text/plain']] : []);
    request.headers.push(['transfer-encoding', 'chunked']);
  }),
  // What stands beside it.
  mirrored: later((request, { pick }) => {
    for (const name of pick([['mcp-name'], ['mcp-method'], ['mcp-name', 'mcp-method']])) {
      const honest = name === 'mcp-name' ? 'greet' : 'tools/call';
      set(request, name, ...pick([[], [honest], [honest, honest], ['secret_tool'], [honest, 'secret_tool'], [`=?base64?${Buffer.from(honest).toString('base64')}?=`], ['=?base64?c2VjcmV0X3Rvb2w=?='], ['=?BASE64?Z3JlZXQ=?='], ['=?base64?!?='],
        [honest.toUpperCase()], ['ping'], [''], ['\xff']]));
    }
  }),
  versionHeader: later((request, { pick }) => set(request, 'mcp-protocol-version', ...pick([[], ['2024-11-05'], ['2025-03-26'], ['2025-06-18'], ['2026-07-28'], ['2099-01-01'], ['2025-03-26', '2026-07-28'], ['2026-07-28', '2026-07-28'], [''], ['2026-07-28 ']]))),
  path: later((request, { pick }) => { request.path = pick(['/mcp/', '/MCP', '/%6dcp', '/mcp%2f', '/mcp%00', '//mcp', '/x/../mcp', '/./mcp', '/mcp;a=b', '/mcp/.', '\\mcp', '/mcp#f', 'http://h/mcp', '/mcp?', '/mcp?a=1', '/mcp?_method=GET', '/mcp/x', '/', '/mcp%20']); }),
  verb: later((request, { pick }) => { request.method = pick(['GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'post', 'POST ']); }),
  headers: later((request, { pick }) => request.headers.push(pick([['x-http-method-override', 'GET'], ['x-original-url', '/MCP'], ['x-envoy-original-path', '/mcp/'], ['x-request-id', 'mine'], ['x-forwarded-host', 'evil'], ['cookie', 'a=b'], ['expect', '100-continue'],
    ['upgrade', 'h2c'], ['mcp-session-id', 'x'], ['last-event-id', '1'], ['accept-encoding', 'gzip, br'], ['origin', 'https://evil.example'], ['mcp_name', 'secret_tool'], ['mcp-param-a', 'x'], ['accept', 'application/json'], ['te', 'trailers'], ['x-envoy-retry-on', '5xx']]))),
}).map(([name, change]) => Object.defineProperty(change, 'name', { value: name }));
