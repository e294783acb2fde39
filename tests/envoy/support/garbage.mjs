// Garbage that is the same at every run.
import { toolCall } from './client.mjs';

/** A seeded source of randomness (mulberry32). */
export function random(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  const pick = (list) => list[below(list.length)];
  const bytes = (length) => Buffer.from(Array.from({ length }, () => below(256)));
  return { below, pick, bytes };
}

const MESSAGES = [
  toolCall('listAccounts'),
  toolCall('getAccount', { accountId: 'ACC-1001' }),
  toolCall('getTransactions', { accountId: 'ACC-1002', limit: 5 }),
  toolCall('getCustomerPII', { customerId: 'CUST-001' }),
  toolCall('updateAccountStatus', { accountId: 'ACC-1003', status: 'frozen' }),
  { jsonrpc: '2.0', id: 'a-b', method: 'tools/list', params: { cursor: 'x' } },
  { jsonrpc: '2.0', id: 2, method: 'ping' },
  { jsonrpc: '2.0', method: 'notifications/initialized' },
].map((message) => Buffer.from(JSON.stringify(message)));

const splice = (bytes, at, remove, insert) => Buffer.concat([bytes.subarray(0, at), Buffer.from(insert), bytes.subarray(at + remove)]);
const asText = (change) => (bytes, source) => Buffer.from(change(bytes.toString('latin1'), source), 'latin1');
/** Replaces one match of `pattern`, whichever. */
const replaceOne = (text, pattern, source, replace) => {
  const matches = [...text.matchAll(pattern)];
  if (!matches.length) return text;
  const match = source.pick(matches);
  return text.slice(0, match.index) + replace(match[0]) + text.slice(match.index + match[0].length);
};

const MUTATIONS = [
  function flipBits(bytes, { below }) {
    const copy = Buffer.from(bytes);
    for (let i = below(4); i >= 0 && copy.length; i -= 1) copy[below(copy.length)] ^= 1 << below(8);
    return copy;
  },
  (bytes, { below }) => bytes.subarray(0, below(bytes.length + 1)),
  (bytes, { below }) => splice(bytes, below(bytes.length), 1 + below(3), ''),
  (bytes, { below, pick }) => splice(bytes, below(bytes.length), 0, pick(['\0', '\r\n', '\x1b', '\x7f', ' ', '\t', '\ufeff', '\u2028', '"', '\\', '{', '}', '[', ']', ',', ':', '0', '-'])),
  (bytes, { below, bytes: junk }) => splice(bytes, below(bytes.length), below(8), junk(1 + below(8))),
  // A member twice, in front or behind, as it is, in another case or escaped.
  asText((text, source) => replaceOne(text, /[{,]/g, source, (mark) => {
    const name = source.pick(['name', 'Name', 'method', 'METHOD', 'params', 'id', 'jsonrpc', 'n\\u0061me', 'name\\u0000', 'result', 'arguments', 'other']);
    return `${mark}"${name}":${source.pick(['"getCustomerPII"', '"tools/call"', '{}', '1', 'null', '"2.0"'])},`;
  })),
  asText((text, source) => `${text.slice(0, -1)},${text.slice(1 + source.below(2))}`),
  // The same text in other bytes: this one is to be forwarded.
  asText((text, source) => replaceOne(text, /(?<=")\w/g, source, (c) => `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}`)),
  asText((text, source) => replaceOne(text, /[:,{}]/g, source, (mark) => ` ${mark}\n`)),
  asText((text, source) => replaceOne(text, /[a-z]/gi, source, (c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase()))),
  // One word for another.
  asText((text, source) => replaceOne(text, /"[^"]*"/g, source, () => source.pick(['"listAccounts"', '"getCustomerPII"', '"tools/call"', '"name"', '"id"', '""', 'null', '1e999', '[]', '{}']))),
  asText((text, source) => replaceOne(text, /"[^"]*"|\{\}|\d+/g, source, (value) => {
    const depth = source.pick([1, 2, 60, 70, 5_000]);
    return source.pick([[`${'['.repeat(depth)}${value}${']'.repeat(depth)}`], [`${'{"a":'.repeat(depth)}${value}${'}'.repeat(depth)}`], ['['.repeat(depth) + value]])[0];
  })),
  asText((text, source) => source.pick([`[${text}]`, `${text}${text}`, `${text}\n${text}`, ` ${text} `, `\xef\xbb\xbf${text}`, `"${text}"`])),
];

/** A message with a few things done to it; or, at times, none at all. */
export function garbageBody(source) {
  if (source.below(20) === 0) return source.bytes(source.below(400));
  let body = source.pick(MESSAGES);
  for (let i = source.below(3); i >= 0; i -= 1) body = source.pick(MUTATIONS)(body, source);
  return body;
}

/** The head of a request around `body`, with a few things done to it; most get past Envoy's own parser. `token` is good. */
export function garbageHead(source, token, body) {
  const { below, pick, bytes } = source;
  const usually = (value, otherwise) => (below(8) === 0 ? pick(otherwise()) : value);
  // Mostly without controls, which Envoy refuses.
  const junk = (length) => Array.from(bytes(length), (byte) => String.fromCharCode(byte < 32 && below(50) ? byte + 160 : byte)).join('').replaceAll('\n', '');
  const damaged = () => {
    const at = below(token.length);
    return token.slice(0, at) + junk(1 + below(3)) + token.slice(at + below(3));
  };
  const authorization = usually(`Bearer ${token}`, () => [`bearer  ${token} `, `Bearer ${damaged()}`, `Bearer ${token}, Bearer ${token}`, `Bearer ${junk(below(200))}`,
    token, `Basic ${token}`, `Bearer ${token}${'A'.repeat(below(20_000))}`, junk(below(60))]);
  const name = () => pick(['x-request-id', 'origin', 'mcp-protocol-version', 'mcp-name', 'mcp-method', 'mcp-session-id', 'content-type', 'content-encoding', 'accept', 'cookie', 'user-agent',
    'x-forwarded-for', 'x-mcp-user', 'x-envoy-original-path', 'x-envoy-retry-on', 'connection', 'te', 'upgrade', 'expect', 'host', 'authorization', 'Authorization', 'transfer-encoding', 'content-length',
    `x-${below(1000)}`, `x-${below(1000)}`, junk(1 + below(6))]);
  const value = () => pick(['', '2026-07-28', 'tools/call', 'listAccounts', 'application/json', 'close', 'chunked', `${below(300)}`, junk(below(40)), junk(below(40)), 'a'.repeat(below(70_000)), 'caf\xe9', '\xff\xfe\xfd']);
  const method = usually('POST', () => ['GET', 'DELETE', 'PUT', 'OPTIONS', 'HEAD', 'post', 'PO ST', junk(4)]);
  const path = usually('/mcp', () => [`/mcp?${junk(8)}`, `/mcp${junk(3)}`, '/MCP', '/%6dcp', '/.well-known/oauth-protected-resource', `/${junk(10)}`, `/${'a'.repeat(below(70_000))}`, '*']);
  const version = usually('HTTP/1.1', () => ['HTTP/1.1', 'HTTP/1.0', 'HTTP/9.9', '']);
  const lines = ['host: gateway', 'content-type: application/json', `content-length: ${body.length}`, `authorization: ${authorization}`];
  for (let i = below(4); i > 0; i -= 1) lines.splice(below(lines.length + 1), below(12) ? 0 : 1, `${name()}${usually(': ', () => [':', ' : ', ' '])}${value()}`);
  return `${method} ${path} ${version}\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** A message with nothing done to it. */
export const soundBody = ({ pick }) => pick(MESSAGES);
