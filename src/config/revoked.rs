//! What is revoked, by issuer.

use std::collections::HashMap;

use chrono::DateTime;

use super::{Problems, pushed};
use crate::token::{Revoked, Table, is_identifier};

/// Which of its tables.
type Select = fn(&mut Revoked) -> &mut Table;

/// What is written, for each of `issuers`; what is wrong goes to `problems`.
pub(super) fn compile(
    written: &pushed::Revoked,
    issuers: &[pushed::Issuer],
    problems: &mut Problems,
) -> HashMap<String, Revoked> {
    let mut all: HashMap<String, Revoked> =
        issuers.iter().map(|issuer| (issuer.issuer.clone(), Revoked::default())).collect();
    let mut revoke = |path: &str, issuer: &str, id: &str, before, table: Select| {
        if !is_identifier(id) {
            let help = "a claim has 1 to 1024 bytes and no control characters";
            problems.add_with_help(format!("{path}.id"), format!("`{id}` is in no token"), help);
        }
        let before = issued_before(before, path, problems);
        match all.get_mut(issuer) {
            Some(revoked) => table(revoked).revoke(id, before),
            None => problems.add_unknown(
                format!("{path}.issuer"),
                format!("unknown issuer `{issuer}`"),
                issuer,
                issuers.iter().map(|issuer| issuer.issuer.as_str()),
            ),
        }
    };
    for (index, one) in written.tokens.iter().enumerate() {
        let path = format!("revoked.tokens[{index}]");
        revoke(&path, &one.issuer, &one.id, None, |revoked| &mut revoked.tokens);
    }
    let parties: [(&str, &[pushed::RevokedParty], Select); 3] = [
        ("subjects", &written.subjects, |revoked| &mut revoked.subjects),
        ("clients", &written.clients, |revoked| &mut revoked.clients),
        ("sessions", &written.sessions, |revoked| &mut revoked.sessions),
    ];
    for (kind, list, table) in parties {
        for (index, one) in list.iter().enumerate() {
            let path = format!("revoked.{kind}[{index}]");
            revoke(&path, &one.issuer, &one.id, one.issued_before.as_deref(), table);
        }
    }
    all
}

/// A moment in whole seconds since 1970, as `iat` has it: rounded up, so that what is issued before it
/// within the same second is revoked too.
fn issued_before(text: Option<&str>, path: &str, problems: &mut Problems) -> Option<u64> {
    let text = text?;
    let read = DateTime::parse_from_rfc3339(text).ok();
    let seconds = read.and_then(|moment| {
        let rest = i64::from(moment.timestamp_subsec_nanos() > 0);
        u64::try_from(moment.timestamp().saturating_add(rest)).ok()
    });
    if seconds.is_none() {
        let help = "write it like `2026-12-31T23:59:59Z` (RFC 3339)";
        let message = format!("`{text}` is not a moment");
        problems.add_with_help(format!("{path}.issued_before"), message, help);
    }
    seconds
}
