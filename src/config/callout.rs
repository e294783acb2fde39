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
