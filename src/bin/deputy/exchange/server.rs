//! The authorization server, as it is reached from here.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use mcp_deputy::exchange::Callout;
use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use ureq::Error;
use ureq::tls::RootCerts;

use crate::envoy::{self, system_authorities};
use crate::http;
use crate::report::Failure;
use crate::source::Source;

/// Where the requests go.
pub struct Server {
    url: Option<String>,
    clusters: BTreeMap<String, envoy::Server>,
    authorization: Option<String>,
    /// Which authorities are believed of the clusters.
    authorities: RootCerts,
    warning: Option<String>,
}

/// As many bytes of a reply as tell that it is too large.
const REPLY_BYTES: u64 = 65 * 1024;

impl Server {
    /// The server at a URL, or else at the address of the cluster that is asked.
    pub fn new(url: Option<String>, source: &Source, authorization: Option<String>) -> Self {
        let clusters = source.envoy.as_ref().map(|envoy| envoy.clusters.clone());
        let clusters = clusters.unwrap_or_default();
        let mut authorities = RootCerts::PlatformVerifier;
        let mut warning = None;
        // A URL may lead by another way than Envoy's, to what other authorities vouch for.
        let has_tls = url.is_none() && clusters.values().any(|server| server.has_tls);
        if let Some(envoy) = source.envoy.as_ref().filter(|_| has_tls) {
            match http::authorities(Path::new(&envoy.trusted_ca)) {
                Ok(all) => authorities = all,
                // Where nobody wrote it, each system has its authorities in a place of its own.
                Err(_) if envoy.trusted_ca == system_authorities() => {}
                Err(why) => {
                    let help = "`--set envoy.trusted_ca=FILE` names it as it is found from here";
                    warning = Some(format!(
                        "`envoy.trusted_ca` is not used, this machine's authorities are: {why}; \
                         help: {help}"
                    ));
                }
            }
        }
        Self { url, clusters, authorization, authorities, warning }
    }

    /// What is odd about the way there.
    pub fn warning(&self) -> Option<&String> {
        self.warning.as_ref()
    }

    /// Whether it is known what Envoy adds.
    pub fn has_credentials(&self) -> bool {
        self.authorization.is_some()
    }

    /// What Envoy adds, if it is known.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    fn known_url(&self, callout: &Callout) -> Option<String> {
        self.url.clone().or_else(|| {
            let server = self.clusters.get(&*callout.cluster)?;
            Some(format!("{}{}", server.origin(), header(callout, ":path")))
        })
    }

    /// Where a request goes, to be shown.
    pub fn url(&self, callout: &Callout) -> String {
        self.known_url(callout).unwrap_or_else(|| {
            format!("{} at the cluster {}", header(callout, ":path"), callout.cluster)
        })
    }

    /// Sends a request: what comes of it, and if nothing does, why, in words.
    ///
    /// # Errors
    /// It is not known where to send it.
    pub fn post(
        &self,
        callout: &Callout,
    ) -> Result<(Result<CalloutReply, ExchangeError>, Option<String>), Failure> {
        let Some(url) = self.known_url(callout) else {
            let message = format!("the address of the cluster `{}` is not known", callout.cluster);
            return Err(Failure::Usage(format!("{message}; help: name it with `--url`")));
        };
        let agent = http::agent_believing(self.authorities.clone(), callout.timeout);
        let mut request = agent.post(url).header("host", header(callout, ":authority"));
        for (name, value) in callout.headers.iter().filter(|(name, _)| !name.starts_with(':')) {
            request = request.header(*name, &**value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        Ok(match request.send(callout.body.as_slice()) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let mut body = Vec::new();
                let reader = response.body_mut().as_reader();
                let read = reader.take(REPLY_BYTES).read_to_end(&mut body);
                let trouble = read.err().map(|error| error.to_string());
                let status = trouble.is_none().then_some(status);
                (Ok(CalloutReply { status, from_server: true, body }), trouble)
            }
            Err(error) => {
                let kind = match error {
                    Error::HostNotFound | Error::BadUri(_) => ExchangeError::Unreachable,
                    _ => ExchangeError::NoAnswer,
                };
                (Err(kind), Some(error.to_string()))
            }
        })
    }
}

fn header<'a>(callout: &'a Callout, name: &str) -> &'a str {
    let found = callout.headers.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| &**value).unwrap_or_default()
}
