//! How an object may be used, as one policy has it.

use super::term::Term;
use crate::exchange::Target;
use crate::policy::rule::Rule;
use crate::policy::source::Enforcement;
use crate::token::ScopeSet;

/// The ways to be allowed, in the order in which they are tried.
pub(super) struct Ways<'a> {
    pub(super) terms: Vec<Term>,
    /// Where each of them leads.
    pub(super) targets: Vec<Option<&'a Target>>,
    /// What the rules ask for, in shadow too.
    pub(super) rules: Vec<Term>,
    pub(super) in_shadow: bool,
}

impl<'a> Ways<'a> {
    pub(super) fn of(rules: Option<&'a [Rule]>, required: &ScopeSet) -> Self {
        let rules = rules.unwrap_or_default();
        let shadow = rules.iter().find(|rule| rule.enforcement == Enforcement::Shadow);
        // Last of all, whoever may use the endpoint gets through.
        let everyone = || Term::new(required.clone(), [].iter());
        let last = shadow.map(|rule| (everyone(), rule.target.as_deref()));
        let all = rules.iter().map(|rule| (Term::of(rule), rule.target.as_deref()));
        let mut needed: Vec<(Term, Option<&Target>)> = Vec::new();
        for (term, target) in all.chain(last) {
            // A way is not needed if the next one leads there too, and asks for no more.
            while needed.last().is_some_and(|last| last.1 == target && term.covers(&last.0)) {
                needed.pop();
            }
            needed.push((term, target));
        }
        let (terms, targets) = needed.into_iter().unzip();
        let rules = rules.iter().map(Term::of).collect();
        Self { terms, targets, rules, in_shadow: shadow.is_some() }
    }

    /// Each way, with those that are tried before it.
    pub(super) fn each(&self) -> impl Iterator<Item = (&[Term], &Term, Option<&'a Target>)> {
        self.terms.iter().zip(&self.targets).enumerate().map(|(at, (term, target))| {
            let earlier = self.terms.get(..at).unwrap_or_default();
            (earlier, term, *target)
        })
    }
}
