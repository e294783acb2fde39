//! Hosts and ports.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

/// A host and a port: `127.0.0.1:10000`, `[::1]:10000`, `ledger.example.com:443`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(
    description = "A host and a port: `127.0.0.1:10000`, `[::1]:10000`, `example.com:443`.",
    extend("pattern" = "^.+:[0-9]+$")
)]
pub struct Address {
    /// An IP address without brackets, or a name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        };
        let sound = bare.map_or_else(|| is_name(host), |host| host.contains(':') && is_ip(host));
        let port = port.parse().ok().filter(|port| *port > 0)?;
        sound.then(|| Self { host: bare.unwrap_or(host).to_owned(), port })
    }

    /// Whether the host is an IP address.
    pub fn is_ip(&self) -> bool {
        is_ip(&self.host)
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it is every address of this machine.
    pub fn is_unspecified(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
    }

    /// As the authority of a URL.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| {
            let help = "write host and port, like `127.0.0.1:10000` or `[::1]:10000`";
            format!("`{text}` is not an address; help: {help}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host) in [
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "::1"),
            ("ledger.example.com:80", "ledger.example.com"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, 80));
            assert_eq!(address.authority(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "80", ":80", "host", "host:", "host:0", "host:65536", "::1:80", "[x]:80", "a b:80"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
