//! Which scopes imply which others.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use crate::policy::compile::known_scopes;
use crate::token::ScopeTable;

type Written = BTreeMap<String, Vec<String>>;

/// Puts what is written into `table`, to the last; what is wrong goes to `problems`.
pub(super) fn compile(written: &Written, table: &mut ScopeTable, problems: &mut Problems) {
    for (scope, implied) in written {
        let path = format!("implied_scopes.{scope}");
        if !table.contains(scope) {
            let message = format!("unknown scope `{scope}`");
            problems.add_unknown(&path, message, scope, table.iter());
        }
        if implied.is_empty() {
            problems.add_with_help(&path, "implies nothing", "name a scope, or leave it out");
        }
        known_scopes(implied, table, &path, problems);
    }
    let all: BTreeMap<&str, BTreeSet<&str>> =
        written.keys().map(|scope| (scope.as_str(), reached(scope, written))).collect();
    for (scope, implied) in &all {
        // Scopes that imply each other are reported once.
        let is_equal = |other: &&str| all.get(other).is_some_and(|back| back.contains(scope));
        if implied.iter().copied().find(is_equal).is_some_and(|first| first >= *scope) {
            let path = format!("implied_scopes.{scope}");
            let help = "scopes that imply each other are one scope: require only one of them";
            problems.add_with_help(path, format!("`{scope}` implies itself"), help);
        }
        table.imply(scope, table.set(implied.iter().copied()));
    }
}

/// All that a scope implies.
fn reached<'a>(scope: &str, written: &'a Written) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![scope];
    while let Some(scope) = next.pop() {
        for implied in written.get(scope).into_iter().flatten() {
            if reached.insert(implied.as_str()) {
                next.push(implied);
            }
        }
    }
    reached
}
