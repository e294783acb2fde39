//! `envoy.yaml`: a whole static bootstrap around the filter.

use std::fmt::Write;

use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::exchange::source::{ClientAuthentication, Exchange};
use serde_json::Value;

use super::filter::FILTER_TYPE;
use super::{Address, Envoy, GENERATED, Server, Tls, asked, directory};
use crate::yaml::{indented, scalar};

/// What Envoy may buffer beyond a body of the largest size, so that the filter is the one to refuse
/// a larger one.
const SLACK: usize = 65_536;

/// Where a listener says how much it buffers.
pub const BUFFER: &str = "per_connection_buffer_limit_bytes";

/// How many clients may be connected at once.
const DOWNSTREAM_CONNECTIONS: u32 = 50_000;

/// How many bytes Envoy buffers by a bootstrap, for the filter: of the listeners that have it, the one that
/// says the least. None if none says it.
pub fn buffer_of(bootstrap: &[u8]) -> Option<usize> {
    let document: Value = serde_yaml_ng::from_slice(bootstrap).ok()?;
    let listeners = document.pointer("/static_resources/listeners")?.as_array()?.iter();
    let with_filter = listeners.filter(|listener| listener.to_string().contains(FILTER_TYPE));
    let sizes = with_filter.filter_map(|listener| listener.get(BUFFER)?.as_u64());
    sizes.min().and_then(|size| usize::try_from(size).ok())
}

/// Renders the file.
pub fn render(envoy: &Envoy, pushed: &Pushed) -> String {
    let buffer = pushed.limits.body_bytes.saturating_add(SLACK);
    let admin = envoy.admin.as_ref().map_or_else(String::new, admin);
    let listen = socket(&envoy.listen);
    let tls = envoy.tls.as_ref().map_or_else(String::new, |tls| indented(&ending(tls), 10));
    let filter = scalar(&envoy.filter);
    let filter_directory = scalar(directory(&envoy.filter));
    let routes = indented(&routes(envoy), 18);
    let clusters = indented(&clusters(envoy, &asked(&pushed.exchange)), 4);
    format!(
        r#"{GENERATED}
# Envoy takes no watched secret without a name of its own.
node: {{id: gateway, cluster: gateway}}

{admin}static_resources:
  listeners:
    - name: gateway
      address: {listen}
      # As much as the filter reads of a body, and some more.
      {BUFFER}: {buffer}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: gateway
                server_name: gateway
                # The client is who connects, and so the last of `x-forwarded-for`; what stands before, and
                # `x-envoy-*` from outside, is not believed.
                use_remote_address: true
                generate_request_id: true
                # What two servers could read differently is refused, here or by the filter.
                normalize_path: true
                merge_slashes: false
                path_with_escaped_slashes_action: REJECT_REQUEST
                common_http_protocol_options:
                  headers_with_underscores_action: REJECT_REQUEST
                  max_headers_count: 100
                  # Of a connection on which nothing is under way, no stream either.
                  idle_timeout: 60s
                max_request_headers_kb: 60
                http2_protocol_options:
                  max_concurrent_streams: 100
                  # On HTTP/2 the window is the buffer of a stream.
                  initial_stream_window_size: {buffer}
                  initial_connection_window_size: {connection_window}
                # A request must arrive in good time; how long an answer may take, its route says.
                request_headers_timeout: 10s
                request_timeout: 60s
                stream_idle_timeout: 300s
                delayed_close_timeout: 1s
                access_log:
                  - name: envoy.access_loggers.stdout
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
                      log_format:
                        json_format:
                          time: "%START_TIME%"
                          request_id: "%REQ(X-REQUEST-ID)%"
                          client: "%DOWNSTREAM_REMOTE_ADDRESS%"
                          method: "%REQ(:METHOD)%"
                          path: "%PATH(NQ:PATH)%"
                          status: "%RESPONSE_CODE%"
                          details: "%RESPONSE_CODE_DETAILS%"
                          flags: "%RESPONSE_FLAGS%"
                          duration: "%DURATION%"
                          upstream: "%UPSTREAM_HOST%"
                          audit: "%FILTER_STATE(wasm.deputy.audit:PLAIN)%"
                http_filters:
                  - name: deputy
                    config_discovery:
                      type_urls: [{FILTER_TYPE}]
                      config_source:
                        resource_api_version: V3
                        path_config_source:
                          path: {filter}
                          watched_directory: {{path: {filter_directory}}}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                      # Neither side needs to know what Envoy counts.
                      suppress_envoy_headers: true
                route_config:
                  name: gateway
                  virtual_hosts:
                    - name: gateway
                      domains: ["*"]
                      routes:
{routes}
{tls}  clusters:
{clusters}
overload_manager:
  resource_monitors:
    - name: envoy.resource_monitors.global_downstream_max_connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
        max_active_downstream_connections: {DOWNSTREAM_CONNECTIONS}
"#,
        connection_window = buffer.max(1_048_576),
        routes = routes.trim_end(),
    )
}

fn admin(address: &Address) -> String {
    format!("admin:\n  address: {}\n\n", socket(address))
}

/// One exact route for each endpoint. The filter answers for metadata documents and refuses the
/// rest, and where it does not, nothing is there.
fn routes(envoy: &Envoy) -> String {
    let mut routes = String::new();
    for (path, cluster) in &envoy.routes {
        let upstream = envoy.clusters.get(cluster).map(Server::authority).unwrap_or_default();
        let _ = write!(
            routes,
            r"      - match: {{path: {path}}}
        route:
          cluster: {cluster}
          # The server sees its own name, whatever the client has called it.
          host_rewrite_literal: {upstream}
          # Streams stay open as long as something comes once in a while.
          timeout: 0s
          idle_timeout: 3600s
",
            path = scalar(path),
            cluster = scalar(cluster),
            upstream = scalar(&upstream),
        );
    }
    routes.push_str("      - match: {prefix: /}\n        direct_response: {status: 404}\n");
    routes
}

fn clusters(envoy: &Envoy, asked: &[Exchange]) -> String {
    let mut clusters = String::new();
    for (name, Server { address, has_tls }) in &envoy.clusters {
        let name_text = scalar(name);
        let kind = if address.is_ip() {
            "type: STATIC"
        } else {
            "type: STRICT_DNS\n  dns_lookup_family: V4_PREFERRED"
        };
        let socket = socket(address);
        let _ = write!(
            clusters,
            r"- name: {name_text}
  {kind}
  connect_timeout: 2s
  per_connection_buffer_limit_bytes: 1048576
  load_assignment:
    cluster_name: {name_text}
    endpoints:
      - lb_endpoints:
          - endpoint: {{address: {socket}}}
"
        );
        if *has_tls {
            clusters.push_str(&speaking(&address.host, &envoy.trusted_ca));
        }
        let asked: Vec<&Exchange> =
            asked.iter().filter(|exchange| exchange.cluster.as_ref() == Some(name)).collect();
        let is_server = envoy.routes.values().any(|routed| routed == name);
        clusters.push_str(&limits(is_server, !asked.is_empty()));
        let injects =
            asked.iter().any(|one| one.authentication() == ClientAuthentication::Injected);
        if is_server || injects {
            clusters.push_str(PROTOCOL);
        }
        if is_server {
            clusters.push_str(UNUSED);
        }
        if injects {
            clusters.push_str(&credentials(envoy));
        }
    }
    clusters
}

/// How Envoy speaks TLS to the server of this name.
fn speaking(name: &str, trusted_ca: &str) -> String {
    format!(
        r#"  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: {name}
      common_tls_context:
        validation_context:
          trusted_ca: {{filename: {trusted_ca}}}
          # Any certificate of these authorities would do without it.
          match_typed_subject_alt_names:
            - {{san_type: DNS, matcher: {{exact: {name}}}}}
"#,
        name = scalar(name),
        trusted_ca = scalar(trusted_ca),
    )
}

/// How Envoy ends the clients' TLS.
fn ending(tls: &Tls) -> String {
    format!(
        r#"transport_socket_connect_timeout: 10s
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
    common_tls_context:
      alpn_protocols: [h2, http/1.1]
      tls_certificates:
        - certificate_chain: {{filename: {certificate_chain}}}
          private_key: {{filename: {private_key}}}
          watched_directory: {{path: {directory}}}
"#,
        certificate_chain = scalar(&tls.certificate_chain),
        private_key = scalar(&tls.private_key),
        directory = scalar(directory(&tls.certificate_chain)),
    )
}

/// To an MCP server each open stream is a connection, and there may be as many as clients; a burst of
/// callers is a burst of exchanges.
fn limits(is_server: bool, is_authorization_server: bool) -> String {
    let connections = if is_server { DOWNSTREAM_CONNECTIONS } else { 1024 };
    let pending = if is_authorization_server { 10_240 } else { 1024 };
    let requests = connections.max(pending);
    format!(
        "  circuit_breakers:
    thresholds:
      - max_connections: {connections}
        max_pending_requests: {pending}
        max_requests: {requests}
"
    )
}

/// How Envoy speaks HTTP to a server.
const PROTOCOL: &str = r#"  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: {http_protocol_options: {}}
"#;

/// Node and uvicorn, on which MCP servers run, close a connection that nobody has used for five seconds; a
/// call that is on its way just then is lost.
const UNUSED: &str =
    "      # Shorter than the server's own, or a call meets a connection that it has just closed.
      common_http_protocol_options: {idle_timeout: 4s}
";

/// How the gateway shows the authorization server who asks, without the filter knowing its secret.
fn credentials(envoy: &Envoy) -> String {
    let secret = envoy.secret.as_deref().unwrap_or_default();
    format!(
        r#"      http_filters:
        # The gateway's credentials: from a file that Envoy watches, never in the filter.
        - name: envoy.filters.http.credential_injector
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
            overwrite: true
            credential:
              name: envoy.http.injected_credentials.generic
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
                credential:
                  name: gateway-client-secret
                  sds_config:
                    resource_api_version: V3
                    path_config_source:
                      path: {path}
                      watched_directory: {{path: {directory}}}
        - name: envoy.filters.http.upstream_codec
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
"#,
        path = scalar(secret),
        directory = scalar(directory(secret)),
    )
}

fn socket(address: &Address) -> String {
    let host = scalar(&address.host);
    format!("{{socket_address: {{address: {host}, port_value: {}}}}}", address.port)
}
