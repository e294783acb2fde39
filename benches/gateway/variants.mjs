// What is measured against what: for each variant, how the gateway differs from the one that `deputy render` makes, and what it
// is sent.

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

const hold = { 'filter.yaml': (text) => text.replace(/filename: .*(?=\}\})/, `filename: ${process.env.HOLD_WASM}`) };

/** `edit` may be made of the place; `call` is made into the request, of `bytes` bytes. */
export const GATEWAYS = {
  'pass-through': () => withFilters([]),
  hold: () => hold,
  native: (place) => withFilters(native(place)),
  ext_authz: (place) => withFilters(external(place)),
  deputy: () => ({}),
};

const call = (name) => ({ method: 'tools/call', params: { name, arguments: {} } });
const LIST = { method: 'tools/list', params: {} };

/** `base` is what a variant is held against, `tokens` how many different ones there are. */
export const VARIANTS = [
  { name: 'pass-through', gateway: 'pass-through', call: call('listAccounts') },
  { name: 'wasm that holds headers and body', gateway: 'hold', call: call('listAccounts') },
  { name: 'jwt_authn (cache) + mcp + rbac', gateway: 'native', call: call('listAccounts') },
  { name: 'ext_authz, always yes', gateway: 'ext_authz', call: call('listAccounts') },
  { name: 'Deputy, warm', gateway: 'deputy', call: call('listAccounts') },
];
