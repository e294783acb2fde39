//! What is revoked, by issuer.

use std::collections::HashMap;

use super::{Problems, moment, pushed};
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

/// In whole seconds since 1970, as `iat` has it: rounded up, so that what is issued before it within the
/// same second is revoked too.
fn issued_before(text: Option<&str>, path: &str, problems: &mut Problems) -> Option<u64> {
    let moment = moment(text?, format!("{path}.issued_before"), problems)?;
    let rest = i64::from(moment.timestamp_subsec_nanos() > 0);
    // No token was issued before 1970.
    Some(u64::try_from(moment.timestamp().saturating_add(rest)).unwrap_or(0))
}
