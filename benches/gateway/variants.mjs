// What is measured against what: for each variant, how the gateway differs from the one that `deputy render` makes, and what it
// is sent.
import { join } from 'node:path';
import { root } from '../../demo/keys.mjs';
import { AGENTGATEWAY } from './agentgateway.mjs';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';

/** The gateway's HTTP filters before the router, in place of the discovered one. */
const withFilters = (filters) => ({
  'envoy.yaml': (text) => text.replace(/ +- name: deputy\n(?: {22}.*\n| {20}config_discovery.*\n)+/, filters.map(indented).join('')),
});
const indented = (filter) => `                  - ${JSON.stringify(filter)}\n`;
const filter = (name, type, config) => ({ name: `envoy.filters.http.${name}`, typed_config: { '@type': `${TYPE}.${type}`, ...config } });

/** Envoy's own: who, what, may they; no exchange, no lists. */
const native = ({ issuer, resource, jwks }) => [
  filter('jwt_authn', 'jwt_authn.v3.JwtAuthentication', {
    providers: {
      server: {
        issuer, audiences: [resource], local_jwks: { inline_string: jwks }, jwt_cache_config: { jwt_cache_size: 1000 }, payload_in_metadata: 'claims',
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'server' } }],
  }),
  filter('mcp', 'mcp.v3.Mcp', {}),
  filter('rbac', 'rbac.v3.RBAC', {
    rules: {
      action: 'ALLOW',
      policies: {
        listAccounts: {
          permissions: [{
            metadata: {
              filter: 'envoy.filters.http.mcp', path: [{ key: 'params' }, { key: 'name' }], value: { string_match: { exact: 'listAccounts' } },
            },
          }],
          principals: [{ any: true }],
        },
      },
    },
  }),
];

const external = ({ upstream }) => [
  filter('ext_authz', 'ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    http_service: { server_uri: { uri: `http://${upstream}`, cluster: 'enterprise_ledger', timeout: '2s' }, path_prefix: '/allowed' },
    with_request_body: { max_request_bytes: 1 << 20 },
  }),
];

const HOLD = join(root, 'target/wasm32-wasip1/release/examples/hold.wasm');
const hold = { 'filter.yaml': (text) => text.replace(/filename: .*(?=\}\})/, `filename: ${HOLD}`) };

/** The record as a line of an access log, and none in Envoy's own log. */
const recordInAccessLog = (directory) => ({
  'envoy.yaml': (text) => text.replace(/^( +)http_filters:/m, (line, indent) => `${indent}access_log: ${JSON.stringify([{
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path: `${directory}.access.log`,
      log_format: { text_format_source: { inline_string: '%FILTER_STATE(wasm.deputy.audit:PLAIN)%\n' } },
    },
  }])}\n${line}`),
});

/**
 * By name, how the files that `deputy render` writes are edited; `place` is where everything is, and `directory` the
 * gateway's own.
 */
export const GATEWAYS = {
  'pass-through': () => withFilters([]),
  hold: () => hold,
  native: (place) => withFilters(native(place)),
  ext_authz: (place) => withFilters(external(place)),
  deputy: () => ({}),
  'access-log': (place, directory) => recordInAccessLog(directory),
};

const call = (name) => ({ method: 'tools/call', params: { name, arguments: {} } });
/** What most of them are sent. */
export const WARM = call('listAccounts');
const PASS = { gateway: 'pass-through', call: WARM };
const SDK = { upstream: 'sdk' };
const SESSION = { path: '/mcp/session', inSession: true };

/**
 * In groups, the first of which is what the others are held against:
 *
 * - `bytes`: how long the request's body is made; `path`: where it is sent
 * - `tokens`: how many of one caller are used in turn; more than its share of the cache, so none is known
 * - `logLevel`: of the component `wasm`; otherwise `info`
 * - `denied`: whether the answer is due to be a 403
 * - `http2`, `workers`, `connections`: otherwise HTTP/1.1, one and 16
 * - `list`: how many bytes of a list are answered
 * - `inSession`: whether all calls are made in one session, opened before
 * - `upstream`: `sdk` for a server on an official SDK; otherwise one that answers at once
 */
export const GROUPS = {
  'A call of 300 B': [
    { name: 'Envoy without filters', ...PASS },
    { name: 'wasm that holds headers and body', gateway: 'hold', call: WARM },
    { name: 'native jwt_authn (cache) + mcp + rbac', gateway: 'native', call: WARM },
    { name: 'ext_authz over HTTP, always yes', gateway: 'ext_authz', call: WARM },
    { name: 'Deputy: known token, cached delegation', gateway: 'deputy', call: WARM },
    { name: 'Deputy: the same, its record in an access log instead', gateway: 'access-log', call: WARM, logLevel: 'warning' },
    { name: 'Deputy: cold token (RS256)', gateway: 'deputy', call: { method: 'ping', params: {} }, tokens: 500 },
    { name: 'Deputy: cold exchange', gateway: 'deputy', call: call('transfer') },
    { name: 'Deputy: denial, known token', gateway: 'deputy', call: call('getCustomerPII'), denied: true },
  ],
  'A call of 300 B, before a server on the official SDK': [
    { name: 'Envoy without filters', ...PASS, ...SDK },
    { name: 'wasm that holds headers and body', gateway: 'hold', call: WARM, ...SDK },
    { name: 'native jwt_authn (cache) + mcp + rbac', gateway: 'native', call: WARM, ...SDK },
    { name: 'ext_authz over HTTP, always yes', gateway: 'ext_authz', call: WARM, ...SDK },
    { name: 'Deputy: known token, cached delegation', gateway: 'deputy', call: WARM, ...SDK },
  ],
  ...pairs('A call of 4 KiB', { bytes: 4096 }),
  ...pairs('A call of 4 KiB, one after another', { bytes: 4096, connections: 1 }),
  ...pairs('A call of 64 KiB', { bytes: 65536 }),
  ...pairs('A call of 300 B, HTTP/2', { http2: true }),
  ...pairs('A call of 300 B, 2 workers', { workers: 2 }),
  ...AGENTGATEWAY && {
    'A call of 300 B in a session': [
      { name: 'Envoy without filters', ...PASS, ...SESSION },
      { name: 'Deputy: known token, cached delegation', gateway: 'deputy', call: WARM, ...SESSION },
      { name: 'agentgateway: MCP, JWT + one CEL rule', gateway: 'agentgateway', call: WARM, ...SESSION },
    ],
  },
  ...Object.fromEntries(['json', 'events'].flatMap((type) => Object.entries({ '1 kB': 1e3, '100 kB': 1e5, '10 MB': 1e7 }).map(([size, list]) => {
    const path = `/mcp/${type}-${size.toLowerCase().replace(' ', '').slice(0, -1)}`;
    const more = { path, call: { method: 'tools/list', params: {} }, list, connections: list > 1e6 ? 2 : 16 };
    return Object.entries(pairs(`A list of ${size}, ${type === 'json' ? 'JSON' : 'SSE'}`, more))[0];
  }))),
};

function pairs(title, more) {
  return { [title]: [{ name: 'Envoy without filters', ...PASS, ...more }, { name: 'Deputy', gateway: 'deputy', call: WARM, ...more }] };
}
