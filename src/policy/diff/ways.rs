//! How an object may be used, as one policy has it.

use super::term::Term;
use crate::exchange::Target;
use crate::policy::rule::{Binding, Rule};
use crate::policy::source::Enforcement;
use crate::response::Redaction;
use crate::token::ScopeTable;

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Treatment<'a> {
    /// What it is delegated as.
    pub(super) target: Option<&'a Target>,
    /// What of it the delegation is bound to.
    pub(super) binding: Option<&'a Binding>,
    /// What of its answer is withheld.
    pub(super) redaction: Option<&'a Redaction>,
}

impl<'a> Treatment<'a> {
    fn of(rule: &'a Rule) -> Self {
        Self {
            target: rule.target.as_deref(),
            binding: rule.binding.as_ref(),
            redaction: rule.redaction.as_deref(),
        }
    }
}

/// The ways to be allowed, in the order in which they are tried.
pub(super) struct Ways<'a> {
    pub(super) terms: Vec<Term>,
    /// What becomes of those who take each of them.
    pub(super) treatments: Vec<Treatment<'a>>,
    /// What the rules ask for, in shadow too.
    pub(super) rules: Vec<Term>,
    pub(super) in_shadow: bool,
}

impl<'a> Ways<'a> {
    /// `required` is what the endpoint requires of every request.
    pub(super) fn of(rules: Option<&'a [Rule]>, required: &Term, table: &ScopeTable) -> Self {
        let rules = rules.unwrap_or_default();
        let shadow = rules.iter().find(|rule| rule.enforcement == Enforcement::Shadow);
        // Last of all, whoever may use the endpoint gets through.
        let last = shadow.map(|rule| (required.clone(), Treatment::of(rule)));
        let all = rules.iter().map(|rule| (Term::of(rule, table), Treatment::of(rule)));
        let mut needed: Vec<(Term, Treatment)> = Vec::new();
        for (term, treatment) in all.chain(last) {
            // A way is not needed if the next one leads there too, and asks for no more.
            while needed.last().is_some_and(|last| last.1 == treatment && term.covers(&last.0)) {
                needed.pop();
            }
            needed.push((term, treatment));
        }
        let (terms, treatments) = needed.into_iter().unzip();
        let rules = rules.iter().map(|rule| Term::of(rule, table)).collect();
        Self { terms, treatments, rules, in_shadow: shadow.is_some() }
    }

    /// Each way, with those that are tried before it.
    pub(super) fn each(&self) -> impl Iterator<Item = (&[Term], &Term, Treatment<'a>)> {
        self.terms.iter().zip(&self.treatments).enumerate().map(|(at, (term, treatment))| {
            let earlier = self.terms.get(..at).unwrap_or_default();
            (earlier, term, *treatment)
        })
    }
}
