//! What tells a client how to get in: the RFC 9728 metadata document, the `WWW-Authenticate`
//! challenges (RFC 6750 section 3) that point to it, and, for clients of MCP 2025-03-26, which know
//! neither, the RFC 8414 metadata of the authorization server.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::config::pushed::ProtectedResource;
use crate::config::{Endpoint, HttpUrl};
use crate::policy::rule::Authentication;
use crate::token::{ScopeSet, ScopeTable};

/// Where RFC 9728 section 3 puts the document.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Where MCP 2025-03-26 (authorization, server metadata discovery) looks for the authorization
/// server's metadata: at the MCP server's origin, whatever the server's path.
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";

/// The metadata documents and the challenges, all constant for one configuration: the same refusal
/// is always the same bytes, since one client loops for ever on a challenge that varies.
#[derive(Debug)]
pub struct Challenges {
    /// The scheme, host and port of all of them.
    origin: Box<str>,
    /// By the endpoints' places.
    endpoints: Vec<Document>,
    resource: Document,
    /// Where else that one is found.
    other_paths: [Box<str>; 2],
    authorization_server: Option<Box<str>>,
}

/// A metadata document (RFC 9728 section 3).
#[derive(Debug)]
struct Document {
    path: Box<str>,
    json: Box<str>,
}

/// Which error a challenge names (RFC 6750 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge<'a> {
    /// No credentials were sent: no error code.
    Missing,
    /// Credentials were sent in a way that cannot be read.
    InvalidRequest,
    /// A token was sent and is not accepted; why is for the audit record alone.
    InvalidToken,
    /// The token lacks scopes.
    InsufficientScope,
    /// The client must ask for these claims, in base64: as Entra's clients read it.
    InsufficientClaims(&'a str),
    /// The user must sign in like this (RFC 9470 section 3).
    InsufficientAuthentication(&'a Authentication),
}

impl Challenges {
    /// Prepares the documents of a protected resource and of the endpoints that are part of it. A
    /// client believes one only if it names the URL that it asked for (RFC 9728 section 3.3), so each
    /// endpoint has its own.
    ///
    /// `authorization_server` is that server's own metadata.
    #[must_use]
    pub fn new(
        raw: &ProtectedResource,
        resource: &HttpUrl,
        endpoints: &[Endpoint],
        authorization_server: Option<&Map<String, Value>>,
    ) -> Self {
        let origin = resource.origin();
        let endpoint = |endpoint: &Endpoint| {
            Document::new(raw, &endpoint.path, &[origin, &endpoint.path].concat())
        };
        let own = Document::new(raw, resource.path(), resource.as_str());
        // Only the slash right after the host goes; some clients have every last one go.
        let trimmed = own.path.trim_end_matches('/').into();
        Self {
            endpoints: endpoints.iter().map(endpoint).collect(),
            other_paths: [WELL_KNOWN.into(), trimmed],
            authorization_server: authorization_server
                .map(|document| json!(document).to_string().into()),
            origin: origin.into(),
            resource: own,
        }
    }

    /// The document that is served at this exact path, JSON. Those of RFC 9728 are where the path of
    /// what they describe is inserted, and the protected resource's own at the root location too.
    #[must_use]
    pub fn document_at(&self, path: &str) -> Option<&str> {
        if path == AUTHORIZATION_SERVER {
            return self.authorization_server.as_deref();
        }
        let mut all = self.endpoints.iter().chain([&self.resource]);
        let is_other = || self.other_paths.iter().any(|other| **other == *path);
        let found = all.find(|document| *document.path == *path);
        found.or_else(|| is_other().then_some(&self.resource)).map(|document| &*document.json)
    }

    /// The value of `WWW-Authenticate` at an endpoint.
    ///
    /// `scopes` is what to ask for. Where no endpoint is known, the protected resource's own metadata
    /// are named. Values never need escaping: scopes and URLs are checked at push.
    #[must_use]
    pub fn header(
        &self,
        challenge: &Challenge,
        endpoint: Option<&Endpoint>,
        scopes: &ScopeSet,
        table: &ScopeTable,
    ) -> String {
        let mut header = String::from("Bearer ");
        match challenge {
            Challenge::Missing => {}
            Challenge::InvalidRequest => header.push_str("error=\"invalid_request\", "),
            Challenge::InvalidToken => header.push_str("error=\"invalid_token\", "),
            Challenge::InsufficientScope => header.push_str("error=\"insufficient_scope\", "),
            Challenge::InsufficientClaims(claims) => {
                let _ = write!(header, "error=\"insufficient_claims\", claims=\"{claims}\", ");
            }
            Challenge::InsufficientAuthentication(needed) => {
                header.push_str("error=\"insufficient_user_authentication\", ");
                if !needed.acr_values.is_empty() {
                    let _ = write!(header, "acr_values=\"{}\", ", needed.acr_values.join(" "));
                }
                if let Some(age) = needed.max_age {
                    let _ = write!(header, "max_age=\"{age}\", ");
                }
            }
        }
        if !scopes.is_empty() {
            header.push_str("scope=\"");
            header.push_str(&table.names(scopes).join(" "));
            header.push_str("\", ");
        }
        header.push_str("resource_metadata=\"");
        header.push_str(&self.origin);
        let document = endpoint.and_then(|endpoint| self.endpoints.get(endpoint.place));
        header.push_str(&document.unwrap_or(&self.resource).path);
        header.push('"');
        header
    }
}

impl Document {
    /// That of the `resource` with this path.
    fn new(raw: &ProtectedResource, path: &str, resource: &str) -> Self {
        let mut members = json!({
            "resource": resource,
            "authorization_servers": raw.authorization_servers,
            "bearer_methods_supported": ["header"],
        });
        let texts = [
            ("resource_name", &raw.resource_name),
            ("resource_documentation", &raw.resource_documentation),
        ];
        let texts = texts.map(|(name, text)| (name, text.as_ref().map(|text| json!(text))));
        // RFC 9728 section 3.2: a list of none is left out.
        let scopes = (!raw.scopes_supported.is_empty()).then(|| json!(raw.scopes_supported));
        for (name, value) in texts.into_iter().chain([("scopes_supported", scopes)]) {
            if let (Some(value), Some(members)) = (value, members.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
        }
        Self {
            path: [WELL_KNOWN, if path == "/" { "" } else { path }].concat().into(),
            json: members.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenges(resource: &str) -> Challenges {
        let raw = ProtectedResource {
            resource: resource.to_owned(),
            authorization_servers: vec!["https://login.example".to_owned()],
            scopes_supported: Vec::new(),
            resource_name: Some("A \"name\"".to_owned()),
            resource_documentation: None,
        };
        Challenges::new(&raw, &HttpUrl::parse(resource).unwrap(), &[], None)
    }

    #[test]
    fn the_well_known_path_is_inserted_before_the_resources_own() {
        for (resource, url) in [
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
            ("https://a.example/", "https://a.example/.well-known/oauth-protected-resource"),
            (
                "https://a.example/x/mcp",
                "https://a.example/.well-known/oauth-protected-resource/x/mcp",
            ),
            // RFC 9728 section 3.1: only the slash right after the host goes.
            (
                "https://a.example/mcp/",
                "https://a.example/.well-known/oauth-protected-resource/mcp/",
            ),
        ] {
            let challenges = challenges(resource);
            let none = challenges.header(
                &Challenge::Missing,
                None,
                &ScopeSet::default(),
                &ScopeTable::default(),
            );
            assert_eq!(none, format!("Bearer resource_metadata=\"{url}\""));
            let path = url.strip_prefix("https://a.example").unwrap();
            for path in [path, path.trim_end_matches('/')] {
                assert!(challenges.document_at(path).is_some(), "{path}");
            }
            let document = challenges.document_at("/.well-known/oauth-protected-resource").unwrap();
            assert_eq!(challenges.document_at("/.well-known/oauth-protected-resource/"), None);
            let read: serde_json::Value = serde_json::from_str(document).unwrap();
            assert_eq!(
                (&read["resource"], &read["resource_name"]),
                (&resource.into(), &"A \"name\"".into())
            );
        }
    }

    #[test]
    fn a_challenge_begins_with_its_scheme_and_names_scopes_in_one_order() {
        let mut table = ScopeTable::default();
        for scope in ["b", "a", "c"] {
            table.intern(scope);
        }
        let challenges = challenges("https://a.example/mcp");
        let url =
            "resource_metadata=\"https://a.example/.well-known/oauth-protected-resource/mcp\"";
        let header = |challenge, scopes: &[&str]| {
            challenges.header(&challenge, None, &table.set(scopes.iter().copied()), &table)
        };
        assert_eq!(header(Challenge::Missing, &[]), format!("Bearer {url}"));
        let expected = format!("Bearer error=\"insufficient_scope\", scope=\"a c\", {url}");
        assert_eq!(header(Challenge::InsufficientScope, &["c", "a"]), expected);
        assert_eq!(header(Challenge::InsufficientScope, &["a", "c"]), expected);
    }
}
