//! The section `envoy` of the source file: what only the renderer reads.

mod address;
pub mod bootstrap;
pub mod filter;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::config::{ConfigError, Problems};
use mcp_deputy::exchange::source::{ClientAuthentication, Exchange};
use schemars::JsonSchema;
use serde::Deserialize;

pub use address::Address;
pub use server::Server;

/// How Envoy is set up. Paths of files are as Envoy sees them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envoy {
    /// Where clients connect: an IP address and a port.
    pub listen: Address,
    /// With what Envoy ends the clients' TLS; without it, it speaks HTTP in clear.
    pub tls: Option<Tls>,
    /// Where the admin interface listens; without it there is none. It has no authentication.
    pub admin: Option<Address>,
    /// The compiled filter.
    pub wasm: String,
    /// The rendered `filter.yaml`, which Envoy watches.
    pub filter: String,
    /// The SDS file with the secret `gateway-client-secret`: the value of the `Authorization` header
    /// under which this gateway asks for tokens. Envoy watches it too.
    /// Needed where the gateway authenticates by `injected`.
    pub secret: Option<String>,
    /// The servers behind Envoy by cluster name: `https://ledger.example.com`, or without TLS a host
    /// and a port.
    pub clusters: BTreeMap<String, Server>,
    /// The file with the certificates of the authorities that are believed of these servers, in PEM.
    #[serde(default = "system_authorities")]
    pub trusted_ca: String,
    /// The cluster behind each endpoint, by the endpoint's path.
    pub routes: BTreeMap<String, String>,
}

/// A certificate and its key, in PEM. Envoy watches the directory of the certificate for moves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The file with the certificate, and those between it and its authority's.
    pub certificate_chain: String,
    /// The file with the key.
    pub private_key: String,
}

/// Where Debian has them, and Envoy's images.
pub fn system_authorities() -> String {
    "/etc/ssl/certs/ca-certificates.crt".to_owned()
}

impl Envoy {
    /// Checks the section against the rest of the configuration.
    pub fn check(&self, pushed: &Pushed, problems: &mut Problems) {
        for (name, address) in [("listen", Some(&self.listen)), ("admin", self.admin.as_ref())] {
            if address.is_some_and(|address| !address.is_ip()) {
                problems.add_with_help(
                    format!("envoy.{name}"),
                    "Envoy listens on an IP address, not on a name",
                    "write it like `127.0.0.1:10000` or `0.0.0.0:10000`",
                );
            }
        }
        let tls = self.tls.iter().flat_map(|tls| {
            [
                ("tls.certificate_chain", &tls.certificate_chain),
                ("tls.private_key", &tls.private_key),
            ]
        });
        let files =
            [("wasm", &self.wasm), ("filter", &self.filter), ("trusted_ca", &self.trusted_ca)];
        let secret = self.secret.iter().map(|file| ("secret", file));
        for (name, text) in files.into_iter().chain(secret).chain(tls) {
            if matches!(text.rsplit('/').next(), None | Some("" | "." | "..")) {
                problems.add(format!("envoy.{name}"), "not the name of a file");
            }
        }
        if self.filter_file() == Path::new(BOOTSTRAP) {
            problems.add("envoy.filter", "not the name of a file of its own");
        }
        self.check_ways(pushed, problems);
    }

    /// Checks what leads from where to where.
    fn check_ways(&self, pushed: &Pushed, problems: &mut Problems) {
        let shares_port = |admin: &Address| {
            let any = [admin, &self.listen].map(Address::is_unspecified).contains(&true);
            admin.port == self.listen.port && (any || admin.host == self.listen.host)
        };
        if self.admin.as_ref().is_some_and(shares_port) {
            problems.add("envoy.admin", "clients connect to the same port");
        }
        if self.clusters.contains_key("") {
            problems.add("envoy.clusters.", "a cluster needs a name");
        }
        let is_injected = |one: &Exchange| one.authentication() == ClientAuthentication::Injected;
        if self.secret.is_none() && asked(&pushed.exchange).iter().any(is_injected) {
            let help = "Envoy authenticates the gateway where `client_authentication` is \
                        `injected`, and must know by what";
            problems.add_with_help("envoy", "missing field `secret`", help);
        }
        for (path, one) in written(&pushed.exchange) {
            if let Some(cluster) = &one.cluster {
                self.check_cluster(format!("{path}.cluster"), cluster, problems);
            }
        }
        for (index, issuer) in pushed.issuers.iter().enumerate() {
            if let Some(remote) = &issuer.remote_jwks {
                let place = format!("issuers[{index}].remote_jwks.cluster");
                self.check_cluster(place, &remote.cluster, problems);
            }
        }
        for (path, cluster) in &self.routes {
            let place = format!("envoy.routes.{path}");
            if !pushed.endpoints.iter().any(|endpoint| endpoint.path == *path) {
                let endpoints = pushed.endpoints.iter().map(|endpoint| endpoint.path.as_str());
                problems.add_unknown(&place, format!("unknown endpoint `{path}`"), path, endpoints);
            }
            self.check_cluster(place, cluster, problems);
        }
        for (index, endpoint) in pushed.endpoints.iter().enumerate() {
            if !self.routes.contains_key(&endpoint.path) {
                problems.add_with_help(
                    format!("endpoints[{index}]"),
                    format!("no route leads on from `{}`", endpoint.path),
                    "name its cluster in `envoy.routes`",
                );
            }
        }
    }

    /// What is odd about the section.
    pub fn warnings(&self, pushed: &Pushed) -> Vec<ConfigError> {
        let exposed = self.admin.iter().filter(|address| !address.is_loopback());
        let admin = exposed.map(|address| {
            let message = format!("`{}` can be reached from elsewhere", address.authority());
            let help = "the admin interface has no authentication: keep it on `127.0.0.1`";
            warn("envoy.admin".to_owned(), message, help)
        });
        let in_clear = !self.listen.is_loopback() && self.tls.is_none();
        let listen = in_clear.then(|| {
            let message = format!("callers' tokens come to `{}` in clear", self.listen.authority());
            let help = "write `tls`, or let what ends TLS reach Envoy on `127.0.0.1`";
            warn("envoy.listen".to_owned(), message, help)
        });
        let used = self.used(pushed);
        let unused = self.clusters.keys().filter(|name| !used.contains(&***name));
        let unused = unused.map(|name| {
            let help = "name it in `envoy.routes`, `exchange` or `remote_jwks`, or leave it out";
            warn(format!("envoy.clusters.{name}"), "nothing uses this cluster".to_owned(), help)
        });
        let clusters = self
            .clusters
            .iter()
            .filter(|(_, server)| !server.has_tls && !server.address.is_loopback());
        let clusters = clusters.map(|(name, server)| {
            let message = format!("tokens go to `{}` in clear", server.authority());
            let help = "write `https://` before its name, unless something else sees to TLS";
            warn(format!("envoy.clusters.{name}"), message, help)
        });
        let credentials = credential_warnings(&pushed.exchange);
        admin.chain(listen).chain(unused).chain(clusters).chain(credentials).collect()
    }

    /// The clusters that something names.
    fn used<'a>(&'a self, pushed: &'a Pushed) -> BTreeSet<&'a str> {
        let remotes = pushed.issuers.iter().filter_map(|issuer| issuer.remote_jwks.as_ref());
        let exchanges = written(&pushed.exchange);
        let exchanges = exchanges.into_iter().filter_map(|(_, one)| one.cluster.as_ref());
        let routes = self.routes.values();
        let all = routes.chain(exchanges).chain(remotes.map(|remote| &remote.cluster));
        all.map(String::as_str).collect()
    }

    /// The name under which the filter is rendered: that which Envoy watches.
    pub fn filter_file(&self) -> &Path {
        Path::new(Path::new(&self.filter).file_name().unwrap_or("filter.yaml".as_ref()))
    }

    fn check_cluster(&self, place: String, name: &str, problems: &mut Problems) {
        if !self.clusters.contains_key(name) {
            let known = self.clusters.keys().map(String::as_str);
            problems.add_unknown(place, format!("unknown cluster `{name}`"), name, known);
        }
    }
}

fn warn(path: String, message: String, help: &str) -> ConfigError {
    ConfigError { path, message, help: Some(help.to_owned()) }
}

/// What the rendered Envoy cannot do for those who authenticate through it.
fn credential_warnings(exchange: &Exchange) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    let asked = asked(exchange);
    let of = |authentication: ClientAuthentication| {
        let is_so = move |one: &&Exchange| one.authentication() == authentication;
        asked.iter().filter(is_so).collect::<Vec<_>>()
    };
    let injected = of(ClientAuthentication::Injected);
    if let Some((first, others)) = injected.split_first()
        && let Some(other) = others.iter().find(|other| other.is_elsewhere(first))
    {
        let name = |one: &Exchange| one.authority.clone().unwrap_or_default();
        let message = format!("the same secret goes to `{}` and `{}`", name(first), name(other));
        let help = "Envoy holds one: let the filter authenticate at the other server";
        warnings.push(warn("envoy.secret".to_owned(), message, help));
    }
    let by_certificate = of(ClientAuthentication::Mtls);
    let clusters = by_certificate.iter().filter_map(|one| one.cluster.as_deref());
    for cluster in clusters.collect::<BTreeSet<_>>() {
        let message = "no client certificate is rendered, and `mtls` needs one".to_owned();
        let help = "give the cluster one in an Envoy configuration of your own, or authenticate \
                    otherwise";
        warnings.push(warn(format!("envoy.clusters.{cluster}"), message, help));
    }
    warnings
}

/// What is written of each authorization server, those that stand in for others too, and where.
fn written(exchange: &Exchange) -> Vec<(String, &Exchange)> {
    let targets = exchange.targets.iter();
    let targets = targets.map(|(name, target)| (format!("exchange.targets.{name}"), target));
    let mut all = Vec::new();
    for (path, one) in [("exchange".to_owned(), exchange)].into_iter().chain(targets) {
        let failover = one.failover.as_deref();
        let failover = failover.map(|other| (format!("{path}.failover"), other));
        all.extend([(path, one)].into_iter().chain(failover));
    }
    all
}

/// All authorization servers that are asked, those that stand in for others too.
fn asked(exchange: &Exchange) -> Vec<Exchange> {
    let with_failover = |(_, one): (_, Exchange)| {
        let failover = one.failover_resolved();
        [one].into_iter().chain(failover)
    };
    exchange.resolved().into_iter().flat_map(with_failover).collect()
}

/// The file that Envoy starts with.
pub const BOOTSTRAP: &str = "envoy.yaml";

/// The first lines of a file that is written.
const GENERATED: &str = "\
# Generated by `deputy render`. Do not edit: change `deputy.yaml` and the policies, and render again.
";

/// The directory of a file, as Envoy watches it.
fn directory(file: &str) -> &str {
    match file.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
}
