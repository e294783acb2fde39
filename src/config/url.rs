//! The few URLs that the configuration names.

/// An absolute `http` or `https` URL without user, query and fragment, in its canonical case
/// (RFC 3986 section 6.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: Box<str>,
    origin_length: usize,
}

impl HttpUrl {
    /// Reads a URL; none if it is not of this kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let in_host =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]_".contains(c);
        let in_path = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(c);
        let sound = !host.is_empty() && host.chars().all(in_host) && path.chars().all(in_path);
        let origin_length = text.len().saturating_sub(path.len());
        sound.then(|| Self { text: text.into(), origin_length })
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.origin_length).unwrap_or_default()
    }

    /// The path, `/` if the URL has none.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.text.get(self.origin_length..) {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// Without the port, if that is its scheme's default: clients leave it out (URL standard, section
    /// 4.5).
    #[must_use]
    pub fn without_default_port(&self) -> Option<String> {
        let port = if self.text.starts_with("https:") { ":443" } else { ":80" };
        let origin = self.origin().strip_suffix(port)?;
        Some([origin, self.text.get(self.origin_length..).unwrap_or_default()].concat())
    }

    /// All that say the same (RFC 3986 section 6.2.3): with an empty path, and with `/`.
    #[must_use]
    pub fn spellings(&self) -> Vec<Box<str>> {
        match self.path() {
            "/" => vec![self.origin().into(), [self.origin(), "/"].concat().into()],
            _ => vec![self.text.clone()],
        }
    }

    /// Whether its host is this machine.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.origin().split_once("://").map(|(_, host)| host).unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let address = name.parse::<std::net::IpAddr>();
        name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The scheme of an absolute URI, and what follows its colon, which is not empty (RFC 3986 sections 3.1
/// and 4.3). None if the text does not begin like one.
pub(crate) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && !rest.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_parts_into_origin_and_path() {
        for (text, origin, path) in [
            ("https://a.example", "https://a.example", "/"),
            ("https://a.example/", "https://a.example", "/"),
            ("http://127.0.0.1:10000/mcp", "http://127.0.0.1:10000", "/mcp"),
            ("http://[::1]:8080/a/b", "http://[::1]:8080", "/a/b"),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!((url.origin(), url.path(), url.as_str()), (origin, path, text));
        }
    }

    #[test]
    fn the_port_is_left_out_that_the_scheme_says_anyway() {
        for (text, without) in [
            ("https://a.example:443/mcp", Some("https://a.example/mcp")),
            ("http://[::1]:80", Some("http://[::1]")),
            ("https://a.example:80/", None),
            ("https://a.example:8443/", None),
            ("https://a.example/:443", None),
            ("https://a.example", None),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!(url.without_default_port().as_deref(), without, "{text}");
        }
    }

    #[test]
    fn what_clients_could_read_differently_is_refused() {
        for text in [
            "",
            "mcp",
            "/mcp",
            "ftp://a.example/",
            "https://",
            "https:///x",
            "https://A.example/",
            "https://u@a.example/",
            "https://a.example/?q",
            "https://a.example/#f",
            "https://a b/",
            "https://a.example/\"",
            "HTTPS://a.example/",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text}");
        }
    }
}
