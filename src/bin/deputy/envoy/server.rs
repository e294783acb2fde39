//! The servers behind Envoy.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Address;

/// A server: `127.0.0.1:9500`, or with TLS `https://ledger.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(
    description = "A server with TLS, `https://ledger.example.com`, or without, `127.0.0.1:9500`.",
    extend("pattern" = "^(https://.+|.+:[0-9]+)$")
)]
pub struct Server {
    /// Where it is. With TLS a name, which its certificate must have.
    pub address: Address,
    /// Whether it is spoken to in TLS.
    pub has_tls: bool,
}

/// RFC 9110 section 4.2.2.
const HTTPS_PORT: u16 = 443;

impl Server {
    fn parse(text: &str) -> Option<Self> {
        let Some(authority) = text.strip_prefix("https://") else {
            return Some(Self { address: Address::parse(text)?, has_tls: false });
        };
        let address = Address::parse(authority)
            .or_else(|| Address::parse(&format!("{authority}:{HTTPS_PORT}")))?;
        (!address.is_ip()).then_some(Self { address, has_tls: true })
    }

    /// As the authority of a URL.
    pub fn authority(&self) -> String {
        if self.has_tls && self.address.port == HTTPS_PORT {
            self.address.host.clone()
        } else {
            self.address.authority()
        }
    }

    /// As the beginning of a URL.
    pub fn origin(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| {
            let help = "write `https://ledger.example.com`, or without TLS `127.0.0.1:9500`";
            format!("`{text}` is not a server; help: {help}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_tls_if_its_scheme_says_so() {
        for (text, host, port, has_tls, authority) in [
            ("127.0.0.1:80", "127.0.0.1", 80, false, "127.0.0.1:80"),
            ("ledger.example.com:443", "ledger.example.com", 443, false, "ledger.example.com:443"),
            ("https://ledger.example.com", "ledger.example.com", 443, true, "ledger.example.com"),
            (
                "https://ledger.example.com:443",
                "ledger.example.com",
                443,
                true,
                "ledger.example.com",
            ),
            ("https://localhost:8443", "localhost", 8443, true, "localhost:8443"),
        ] {
            let server = Server::parse(text).unwrap();
            let Address { host: its_host, port: its_port } = &server.address;
            assert_eq!((&**its_host, *its_port, server.has_tls), (host, port, has_tls), "{text}");
            assert_eq!(server.authority(), authority);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "https://",
            "https://127.0.0.1",
            "https://127.0.0.1:443",
            "https://[::1]:443",
            "https://a/b",
            "https://a b",
            "https://a:0",
            "http://ledger.example.com",
            "HTTPS://ledger.example.com",
            "ledger.example.com",
        ] {
            assert_eq!(Server::parse(text), None, "{text}");
        }
    }
}
