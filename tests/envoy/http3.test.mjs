// HTTP/3, of which Envoy is both sides here: a listener beside the rendered one, and another that passes plain HTTP on to it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../demo/keys.mjs';
import { freePort, until } from '../../demo/process.mjs';
import { LIST_ACCOUNTS } from './support/client.mjs';
import { raw } from './support/raw-http.mjs';
import { auditOf } from './support/records.mjs';
import { startTarget } from './support/target.mjs';

const TYPE = 'type.googleapis.com/envoy.extensions';
const file = (name) => join(root, 'tests/keys/tls', name);

/** The bootstrap with the rendered listener once more, for HTTP/3 at port `quic`, and one at `plain` that passes on to it. */
function withHttp3(yaml, { quic, plain }) {
  const [before, listener, after] = yaml.match(/^([^]*? {2}listeners:\n)( {4}- name: gateway\n[^]*?)( {2}clusters:\n[^]*)$/).slice(1);
  const tls = {
    name: 'envoy.transport_sockets.quic',
    typed_config: {
      '@type': `${TYPE}.transport_sockets.quic.v3.QuicDownstreamTransport`,
      downstream_tls_context: {
        common_tls_context: { tls_certificates: [{ certificate_chain: { filename: file('localhost.crt') }, private_key: { filename: file('localhost.key') } }] },
      },
    },
  };
  const http3 = listener
    .replace('- name: gateway', '- name: http3\n      udp_listener_config: {quic_options: {}}')
    .replace(/ {6}address: .*\n/, `      address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: ${quic}}}\n`)
    .replace('        - filters:', `        - transport_socket: ${JSON.stringify(tls)}\n          filters:`)
    .replace('stat_prefix: gateway', 'stat_prefix: http3\n                codec_type: HTTP3');
  const bridge = {
    name: 'bridge', address: { socket_address: { address: '127.0.0.1', port_value: plain } },
    filter_chains: [{
      filters: [{
        name: 'envoy.filters.network.http_connection_manager',
        typed_config: {
          '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
          stat_prefix: 'bridge',
          http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
          route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'http3' } }] }] },
        },
      }],
    }],
  };
  const cluster = {
    name: 'http3', type: 'STATIC',
    load_assignment: {
      cluster_name: 'http3',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: quic } } } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`, explicit_http_config: { http3_protocol_options: {} },
      },
    },
    transport_socket: {
      name: 'envoy.transport_sockets.quic',
      typed_config: {
        '@type': `${TYPE}.transport_sockets.quic.v3.QuicUpstreamTransport`,
        upstream_tls_context: { sni: 'localhost', common_tls_context: { validation_context: { trusted_ca: { filename: file('authority.crt') } } } },
      },
    },
  };
  const element = (value) => `    - ${JSON.stringify(value)}\n`;
  return `${before}${listener}${http3}${element(bridge)}${after.replace('clusters:\n', `clusters:\n${element(cluster)}`)}`;
}

describe('HTTP/3', () => {
  let target;
  let ports;
  before(async () => {
    ports = { quic: await freePort(), plain: await freePort() };
    target = await startTarget({ gateway: { workers: 1, edit: { 'envoy.yaml': (yaml) => withHttp3(yaml, ports) } } });
  });
  after(() => target?.stop());

  // Envoy asks no filter to log then.
  test('each request leaves its one record, and nothing in the filter', async () => {
    const asked = 20;
    for (let count = 0; count < asked; count += 1) {
      assert.equal((await raw(ports.plain, { method: 'GET', path: '/no-endpoint' })).status, 404);
    }
    const records = () => target.stack.auditRecords().filter(({ path }) => path === '/no-endpoint');
    await until(() => records().length >= asked, 'the records');
    assert.deepEqual(records().map(({ decision, status }) => `${decision} ${status}`), Array(asked).fill('refuse 404'));
  });

  test('a call goes up under its delegation', async () => {
    const jti = 'over-http3';
    const headers = [...target.headers([], target.mint.token({ jti })), ['content-length', LIST_ACCOUNTS.length]];
    assert.equal((await raw(ports.plain, { headers, body: LIST_ACCOUNTS })).status, 200);
    const records = await auditOf(target.stack, jti);
    assert.deepEqual(records.map(({ decision, status, delegation }) => [decision, status, delegation.scope]), [['allow', 200, 'ledger:ListAccounts']]);
  });
});
