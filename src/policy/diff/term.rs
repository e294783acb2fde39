//! One way to be allowed, as what must hold for it: scopes and tests, none of them negated. So what
//! is allowed is a monotone formula, and one term lies in another if the other asks for less.

use std::collections::BTreeSet;

use crate::policy::rule::{Asked, Authentication, Rule, Test};
use crate::token::{ScopeSet, ScopeTable};

/// All of it must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) scopes: ScopeSet,
    /// None of them follows from the rest.
    pub(super) tests: Vec<Test>,
}

/// Into how many parts a term is taken apart at the most.
const PARTS: usize = 4_096;

impl Term {
    pub(super) fn new<'a>(mut scopes: ScopeSet, tests: impl Iterator<Item = &'a Test>) -> Self {
        let mut rest = Vec::new();
        for test in tests {
            match test {
                Test::AnyScope { any, first } if any == first => scopes = scopes.union(any),
                test => rest.push(test),
            }
        }
        let mut kept: Vec<Test> = Vec::new();
        for test in rest {
            if !test.follows_from(&scopes, kept.iter()) {
                kept.retain(|other| !other.is_implied_by(test));
                kept.push(test.clone());
            }
        }
        Self { scopes, tests: kept }
    }

    /// What must hold for a rule, by the scopes of the token itself: one that others imply becomes the
    /// need of any of them.
    pub(super) fn of(rule: &Rule, table: &ScopeTable) -> Self {
        let one_of = |any: &ScopeSet, first: &ScopeSet| Test::AnyScope {
            any: table.giving(any),
            first: first.clone(),
        };
        let named = table.names(&rule.scopes).into_iter().map(|name| table.set([name]));
        let (implied, alone): (Vec<_>, Vec<_>) = named.partition(|one| table.giving(one) != *one);
        let implied = implied.iter().map(|one| one_of(one, one));
        let tests = rule.requirements.iter().map(|requirement| match &requirement.test {
            Test::AnyScope { any, first } => one_of(any, first),
            test => test.clone(),
        });
        let tests: Vec<Test> = implied.chain(tests).collect();
        let alone = alone.iter().fold(ScopeSet::default(), |all, one| all.union(one));
        Self::new(alone, tests.iter())
    }

    /// Whether it holds.
    pub(super) fn holds(&self, asked: Asked) -> bool {
        let granted = &asked.caller.granted;
        granted.contains_all(&self.scopes)
            && self.tests.iter().all(|test| match test {
                Test::AnyScope { any, .. } => granted.intersects(any),
                test => test.holds(asked),
            })
    }

    /// Where both hold.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::new(self.scopes.union(&other.scopes), self.tests.iter().chain(&other.tests))
    }

    /// Whether it holds wherever `other` does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.scopes.contains_all(&self.scopes)
            && self.tests.iter().all(|test| test.follows_from(&other.scopes, other.tests.iter()))
    }

    /// What it asks for beyond `within`.
    pub(super) fn beyond(&self, within: &Self) -> Self {
        let follows = |test: &&Test| test.follows_from(&within.scopes, within.tests.iter());
        let tests = self.tests.iter().filter(|test| !follows(test)).cloned().collect();
        Self { scopes: self.scopes.difference(&within.scopes), tests }
    }

    /// Whether it never holds, if that shows.
    pub(super) fn is_impossible(&self) -> bool {
        let mut rest = self.tests.as_slice();
        while let Some((test, others)) = rest.split_first() {
            if others.iter().any(|other| excludes(test, other) || excludes(other, test)) {
                return true;
            }
            rest = others;
        }
        false
    }

    /// The parts of it in which none of `others` holds throughout. All of it, if that is all.
    pub(super) fn uncovered(&self, others: &[Self], table: &ScopeTable) -> Vec<Self> {
        if self.is_impossible() || others.iter().any(|other| other.covers(self)) {
            return Vec::new();
        }
        let parts = self.parts(table);
        let left: Vec<Vec<Self>> = parts.iter().map(|part| part.uncovered(others, table)).collect();
        let is_whole = |(left, part): (&Vec<Self>, &Self)| left.as_slice() == [part.clone()];
        if left.iter().zip(&parts).all(is_whole) { vec![self.clone()] } else { left.concat() }
    }

    /// The terms of which one holds exactly where this one does; none if it has no such parts. Where
    /// there would be too many, it is taken apart by scopes alone.
    fn parts(&self, table: &ScopeTable) -> Vec<Self> {
        let choices: Vec<Vec<Test>> =
            self.tests.iter().map(|test| alternatives(test, table)).collect();
        let counts = choices.iter().map(|tests| tests.len().max(1));
        let too_many = counts.fold(1, usize::saturating_mul) > PARTS;
        let is_scope = |test: &Test| matches!(test, Test::AnyScope { .. });
        let at = choices
            .iter()
            .position(|tests| tests.first().is_some_and(|first| !too_many || is_scope(first)));
        let Some(at) = at else { return Vec::new() };
        let with = |choice: &Test| {
            let others = self.tests.iter().enumerate().filter(|(index, _)| *index != at);
            let tests = others.map(|(_, test)| test).chain([choice]);
            Self::new(self.scopes.clone(), tests)
        };
        choices.get(at).into_iter().flatten().map(with).collect()
    }
}

/// Those that no other one covers.
pub(super) fn minimal(terms: impl IntoIterator<Item = Term>) -> Vec<Term> {
    let mut kept: Vec<Term> = Vec::new();
    for term in terms {
        if !kept.iter().any(|other| other.covers(&term)) {
            kept.retain(|other| !term.covers(other));
            kept.push(term);
        }
    }
    kept
}

/// The tests of which one holds exactly where this one does; none if it has no such parts.
fn alternatives(test: &Test, table: &ScopeTable) -> Vec<Test> {
    let several = |tests: Vec<Test>| if tests.len() > 1 { tests } else { Vec::new() };
    match test {
        Test::AnyScope { any, .. } => {
            let names = table.names(any).into_iter();
            let one = |set: ScopeSet| Test::AnyScope { any: set.clone(), first: set };
            several(names.map(|name| one(table.set([name]))).collect())
        }
        Test::Clients(clients) => {
            let one = |client| Test::Clients(BTreeSet::from([client]));
            several(clients.iter().cloned().map(one).collect())
        }
        Test::Authentication(Authentication { acr_values, max_age }) => {
            let one = |class| {
                let acr_values = vec![class];
                Test::Authentication(Authentication { acr_values, max_age: *max_age })
            };
            several(acr_values.iter().cloned().map(one).collect())
        }
        Test::Claim(place, condition) => {
            let one = |condition| Test::Claim(place.clone(), condition);
            condition.alternatives().into_iter().map(one).collect()
        }
        Test::Argument(place, condition) => {
            let one = |condition| Test::Argument(place.clone(), condition);
            condition.alternatives().into_iter().map(one).collect()
        }
        Test::Time(_) | Test::OnlyArguments(_) | Test::ClearArguments(_) => Vec::new(),
    }
}

/// Whether both never hold, if that shows.
fn excludes(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Clients(ours), Test::Clients(theirs)) => ours.is_disjoint(theirs),
        (Test::Authentication(ours), Test::Authentication(theirs)) => {
            let [ours, theirs] = [ours, theirs].map(|one| &one.acr_values);
            !ours.is_empty() && !theirs.is_empty() && ours.iter().all(|acr| !theirs.contains(acr))
        }
        (Test::Claim(place, ours), Test::Claim(other, theirs))
        | (Test::Argument(place, ours), Test::Argument(other, theirs)) => {
            place == other && ours.excludes(theirs)
        }
        (Test::OnlyArguments(known), Test::Argument(place, condition)) => {
            condition.needs_value() && !known.contains(&place.name)
        }
        _ => false,
    }
}
