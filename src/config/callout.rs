//! Where Envoy sends a request for the filter.

use std::fmt::Display;

use super::Problems;

/// Whether `text`, which stands at `path`, can name a cluster or an authority; if not, that goes to
/// `problems`.
pub(crate) fn is_name(text: &str, path: impl Display, problems: &mut Problems) -> bool {
    let is_name = is_visible(text);
    if !is_name {
        problems.add(path, format!("`{text}` is empty or has spaces"));
    }
    is_name
}

/// Whether `text`, which stands at `path`, can be an `:authority`; if not, that goes to `problems`.
pub(crate) fn is_authority(text: &str, path: impl Display, problems: &mut Problems) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let in_address = |byte: u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.contains(':') && address.bytes().all(in_address),
        None => !host.is_empty() && host.bytes().all(in_name),
    };
    let is_port = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !(is_host && is_port) {
        let help = "write a host, and its port if it has one, like `login.example.com:8443`";
        problems.add_with_help(path, format!("`{text}` is not a host"), help);
    }
    is_host && is_port
}

/// Adds to `problems` if `text`, which stands at `path`, is no request target (RFC 9112 section 3.2.1);
/// `metadata` is where an authorization server says which one it should be.
pub(crate) fn check_target(
    text: &str,
    path: impl Display,
    metadata: &str,
    problems: &mut Problems,
) {
    if !text.starts_with('/') || !is_visible(text) {
        let help = format!("write what follows the host in `{metadata}`");
        problems.add_with_help(path, format!("`{text}` is not a path"), help);
    }
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
