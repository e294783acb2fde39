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
    document: Box<str>,
    document_url: Box<str>,
    document_paths: Vec<Box<str>>,
    authorization_server: Option<Box<str>>,
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
    /// Prepares the document for a protected resource and the endpoints that are part of it.
    ///
    /// `authorization_server` is that server's own metadata.
    #[must_use]
    pub fn new(
        raw: &ProtectedResource,
        resource: &HttpUrl,
        endpoints: &[Endpoint],
        authorization_server: Option<&Map<String, Value>>,
    ) -> Self {
        let mut document = json!({
            "resource": raw.resource,
            "authorization_servers": raw.authorization_servers,
            "scopes_supported": raw.scopes_supported,
            "bearer_methods_supported": ["header"],
        });
        for (name, value) in [
            ("resource_name", &raw.resource_name),
            ("resource_documentation", &raw.resource_documentation),
        ] {
            if let (Some(value), Some(members)) = (value, document.as_object_mut()) {
                members.insert(name.to_owned(), value.as_str().into());
            }
        }
        // Only the slash right after the host goes; some clients have every last one go.
        let inserted = |path: &str| format!("{WELL_KNOWN}{}", if path == "/" { "" } else { path });
        let own = inserted(resource.path());
        let trimmed = own.trim_end_matches('/').into();
        let mut document_paths = vec![WELL_KNOWN.into(), own.as_str().into(), trimmed];
        document_paths.extend(endpoints.iter().map(|endpoint| inserted(&endpoint.path).into()));
        Self {
            document: document.to_string().into(),
            document_url: format!("{}{own}", resource.origin()).into(),
            document_paths,
            authorization_server: authorization_server
                .map(|document| json!(document).to_string().into()),
        }
    }

    /// The document that is served at this exact path, JSON. The RFC 9728 document is at the root
    /// location, at the one with the resource's path inserted, and at those with an endpoint's.
    #[must_use]
    pub fn document_at(&self, path: &str) -> Option<&str> {
        if path == AUTHORIZATION_SERVER {
            return self.authorization_server.as_deref();
        }
        self.document_paths.iter().any(|known| **known == *path).then_some(&self.document)
    }

    /// The value of `WWW-Authenticate`.
    ///
    /// `scopes` is what to ask for. Values never need escaping: scopes and URLs are checked at push.
    #[must_use]
    pub fn header(&self, challenge: &Challenge, scopes: &ScopeSet, table: &ScopeTable) -> String {
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
        header.push_str(&self.document_url);
        header.push('"');
        header
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
            assert_eq!(&*challenges.document_url, url);
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
            challenges.header(&challenge, &table.set(scopes.iter().copied()), &table)
        };
        assert_eq!(header(Challenge::Missing, &[]), format!("Bearer {url}"));
        let expected = format!("Bearer error=\"insufficient_scope\", scope=\"a c\", {url}");
        assert_eq!(header(Challenge::InsufficientScope, &["c", "a"]), expected);
        assert_eq!(header(Challenge::InsufficientScope, &["a", "c"]), expected);
    }
}
