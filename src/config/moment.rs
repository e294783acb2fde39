//! Moments.

use std::fmt::Display;

use chrono::{DateTime, FixedOffset};

use super::Problems;

/// A moment that is written at `path` as RFC 3339 has it; what is wrong goes to `problems`.
pub(crate) fn moment(
    text: &str,
    path: impl Display,
    problems: &mut Problems,
) -> Option<DateTime<FixedOffset>> {
    let read = DateTime::parse_from_rfc3339(text).ok();
    if read.is_none() {
        let help = "write it like `2026-12-31T23:59:59Z` (RFC 3339)";
        problems.add_with_help(path, format!("`{text}` is not a moment"), help);
    }
    read
}
