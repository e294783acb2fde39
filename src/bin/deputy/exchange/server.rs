//! The authorization server, as it is reached from here.

use std::collections::BTreeMap;
use std::io::Read;

use mcp_deputy::exchange::Callout;
use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use ureq::Error;

use crate::envoy;
use crate::http;
use crate::report::Failure;
use crate::source::Source;

/// Where the requests go.
pub struct Server {
    url: Option<String>,
    clusters: BTreeMap<String, envoy::Server>,
    authorization: Option<String>,
}

/// As many bytes of a reply as tell that it is too large.
const REPLY_BYTES: u64 = 65 * 1024;

impl Server {
    /// The server at a URL, or else at the address of the cluster that is asked.
    pub fn new(url: Option<String>, source: &Source, authorization: Option<String>) -> Self {
        let clusters = source.envoy.as_ref().map(|envoy| envoy.clusters.clone());
        Self { url, clusters: clusters.unwrap_or_default(), authorization }
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
        let agent = http::agent(callout.timeout, false);
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
