//! Where an issuer publishes its keys, and what is there.

use std::io::Read;
use std::time::Duration;
use std::{iter, mem};

use mcp_deputy::config::HttpUrl;
use mcp_deputy::json;
use mcp_deputy::request::Headers;
use mcp_deputy::token::{FetchReply, KeyProblem};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};

use crate::http;
use crate::report::Failure;

/// An issuer, and the means to ask it.
pub struct Discovery {
    agent: Agent,
    issuer: HttpUrl,
}

/// What an issuer publishes.
pub struct Found {
    /// Where its metadata are.
    pub metadata: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The set of those that the filter would use.
    pub keys: Value,
    /// Why it would not use the others.
    pub skipped: Vec<KeyProblem>,
}

impl Found {
    /// How many keys there are.
    pub fn number(&self) -> usize {
        self.keys.get("keys").and_then(Value::as_array).map_or(0, Vec::len)
    }
}

/// More than a key set or a metadata document may have.
const ANSWER_BYTES: u64 = 257 * 1024;

/// What came back, in the shape of the filter's own callouts.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        let status = (":status", self.status.as_str().as_bytes());
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        iter::once(status).chain(headers).collect()
    }
}

impl Discovery {
    /// # Errors
    /// The issuer is none that could be asked.
    pub fn new(issuer: &str, timeout: Duration) -> Result<Self, Failure> {
        let Some(url) = HttpUrl::parse(issuer).filter(is_safe) else {
            let message = format!("`{issuer}` is not an https URL without query and fragment");
            let help = "write it as the tokens have it in `iss`; http is for this machine alone";
            return Err(Failure::Usage(format!("{message}; help: {help}")));
        };
        Ok(Self { agent: http::agent(timeout, !url.is_loopback()), issuer: url })
    }

    /// Finds the keys and fetches them.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub fn fetch(&self) -> Result<Found, String> {
        let (metadata, jwks_uri) = self.discover()?;
        let url = jwks_uri.split('?').next().and_then(HttpUrl::parse);
        // An issuer elsewhere has no business on this machine.
        let is_safe = url
            .is_some_and(|url| is_safe(&url) && (!url.is_loopback() || self.issuer.is_loopback()));
        if !is_safe {
            return Err(format!("`{jwks_uri}`, the `jwks_uri` of {metadata}, is not an https URL"));
        }
        let answer = self.get(&jwks_uri)?;
        let reply = FetchReply { headers: Headers(&answer.headers()), body: &answer.body };
        let (_, skipped) = reply.keys().map_err(|error| format!("{jwks_uri}: {error}"))?;
        let set: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let all = set.get("keys").and_then(Value::as_array).into_iter().flatten().enumerate();
        let is_usable = |index: usize| skipped.iter().all(|problem| problem.index != index);
        let usable: Vec<_> =
            all.filter(|(index, _)| is_usable(*index)).map(|(_, key)| key).collect();
        Ok(Found { metadata, jwks_uri, keys: json!({ "keys": usable }), skipped })
    }

    /// The place of the issuer's metadata, and the one that they name for its keys.
    fn discover(&self) -> Result<(String, String), String> {
        let mut tried = Vec::new();
        for url in self.places() {
            let Answer { status, body, .. } = self.get(&url)?;
            if status != StatusCode::OK {
                tried.push(format!("{url}: status {}", status.as_str()));
                continue;
            }
            let Ok(metadata) = json::object(&body, &json::Limits::default()) else {
                tried.push(format!("{url}: not an object in strict JSON"));
                continue;
            };
            // RFC 8414 section 3.3: or another could speak for it.
            let said = metadata.get("issuer").unwrap_or(&Value::Null);
            if said != self.issuer.as_str() {
                return Err(format!("{url} is the metadata of another issuer, {said}"));
            }
            return match metadata.get("jwks_uri").and_then(Value::as_str) {
                Some(jwks_uri) => Ok((url, jwks_uri.to_owned())),
                None => Err(format!("{url} names no `jwks_uri`")),
            };
        }
        Err(format!("no metadata: {}", tried.join("; ")))
    }

    /// RFC 8414 section 3.1, then OpenID Connect Discovery 1.0 section 4, which is put either way.
    fn places(&self) -> Vec<String> {
        let origin = self.issuer.origin();
        let path = self.issuer.path().trim_end_matches('/');
        let mut places = vec![
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
            format!("{origin}{path}/.well-known/openid-configuration"),
        ];
        if !path.is_empty() {
            places.push(format!("{origin}/.well-known/openid-configuration{path}"));
        }
        places
    }

    fn get(&self, url: &str) -> Result<Answer, String> {
        let accept = "application/json, application/jwk-set+json";
        let answer = self.agent.get(url).header("accept", accept).call();
        let mut answer = answer.map_err(|error| format!("{url}: {error}"))?;
        let mut body = Vec::new();
        let reader = answer.body_mut().as_reader();
        let read = reader.take(ANSWER_BYTES).read_to_end(&mut body);
        read.map_err(|error| format!("{url}: {error}"))?;
        Ok(Answer { status: answer.status(), headers: mem::take(answer.headers_mut()), body })
    }
}

/// Whether nobody on the way can change what is there.
fn is_safe(url: &HttpUrl) -> bool {
    url.as_str().starts_with("https://") || url.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_looked_for_in_the_places_of_both_standards() {
        let places =
            |issuer| Discovery::new(issuer, Duration::from_secs(1)).ok().map(|it| it.places());
        assert_eq!(
            places("https://login.example.com").unwrap(),
            [
                "https://login.example.com/.well-known/oauth-authorization-server",
                "https://login.example.com/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            places("https://login.example.com/tenant/").unwrap(),
            [
                "https://login.example.com/.well-known/oauth-authorization-server/tenant",
                "https://login.example.com/tenant/.well-known/openid-configuration",
                "https://login.example.com/.well-known/openid-configuration/tenant",
            ]
        );
    }

    #[test]
    fn http_is_for_this_machine_alone() {
        for (url, expected) in [
            ("https://login.example.com", true),
            ("http://login.example.com", false),
            ("http://127.0.0.1:9400", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:9400/x", true),
            ("http://localhost:80/", true),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://0.0.0.0", false),
            ("http://169.254.169.254", false),
        ] {
            assert_eq!(is_safe(&HttpUrl::parse(url).unwrap()), expected, "{url}");
        }
    }
}
