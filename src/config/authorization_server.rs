//! The metadata of the authorization server, which clients of MCP 2025-03-26 look for at the MCP
//! server's origin.

use serde_json::{Map, Value};

use super::{HttpUrl, Problems};

const SECTION: &str = "authorization_server_metadata";

/// What RFC 8414 section 2 requires, and no client of the authorization code flow does without.
const REQUIRED: [&str; 4] =
    ["issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"];

/// Checks the members that lead clients somewhere.
pub fn check(metadata: &Map<String, Value>, servers: &[String], problems: &mut Problems) {
    for name in REQUIRED {
        if !metadata.contains_key(name) {
            problems.add(SECTION, format!("missing field `{name}`"));
        }
    }
    for (name, value) in metadata {
        let path = || format!("{SECTION}.{name}");
        if name == "issuer" {
            if !servers.iter().any(|server| value == server) {
                problems.add_with_help(
                    path(),
                    format!("{value} is not one of `protected_resource.authorization_servers`"),
                    "clients must not be led to a server whose tokens are not meant",
                );
            }
        } else if (name.ends_with("_endpoint") || name == "jwks_uri") && !is_http_url(value) {
            problems.add(path(), format!("{value} is not an http or https URL without fragment"));
        }
    }
}

/// An endpoint may have a query (RFC 6749 section 3.1).
fn is_http_url(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let (url, query) = text.split_once('?').unwrap_or((text, ""));
    let in_query = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c);
    HttpUrl::parse(url).is_some() && query.chars().all(in_query)
}
