//! The kill switch: whose tokens of an issuer are refused before they expire.

use std::collections::HashMap;

use super::Claims;

/// What of one issuer is revoked. While nothing is, asking costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// By `jti`.
    pub tokens: Table,
    /// By `sub`, of the user and of the current actor.
    pub subjects: Table,
    /// By the client, that the token was issued to or that acts.
    pub clients: Table,
    /// By `sid`.
    pub sessions: Table,
}

/// Names, each with the moment from which on what is issued to it is accepted again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(HashMap<Box<str>, u64>);

impl Table {
    /// Revokes all that is issued to `name` before a moment, in seconds since 1970; without one, all.
    pub fn revoke(&mut self, name: &str, issued_before: Option<u64>) {
        let before = issued_before.unwrap_or(u64::MAX);
        let known = self.0.entry(name.into()).or_insert(before);
        *known = before.max(*known);
    }

    fn has(&self, name: &str, issued_at: u64) -> bool {
        self.0.get(name).is_some_and(|before| issued_at < *before)
    }
}

impl Revoked {
    /// Whether a token that says this is revoked.
    ///
    /// Of the actors, the current one counts: the others are history, on which no decision may rest
    /// (RFC 8693 section 4.1).
    #[must_use]
    pub fn covers(&self, claims: &Claims) -> bool {
        let has = |table: &Table, name: &str| table.has(name, claims.issued_at);
        let any = |table: &Table, names: [Option<&str>; 2]| {
            names.into_iter().flatten().any(|name| has(table, name))
        };
        let actor = claims.actors.first().map(AsRef::as_ref);
        any(&self.tokens, [claims.id.as_deref(), None])
            || any(&self.subjects, [Some(&claims.subject), actor])
            || any(&self.clients, [claims.client.as_deref(), claims.actor_client.as_deref()])
            || any(&self.sessions, [claims.session.as_deref(), None])
    }
}
