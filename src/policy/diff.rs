//! The change in meaning from one policy to another: for whom what opens, closes and is delegated
//! otherwise.
//!
//! All that rules require is positive, so what they allow is a monotone formula: a way to be allowed
//! is new unless one of the old ways asks for no more. For scopes this is exact. Where the relation of
//! two conditions cannot be told from what is written, a change may be told that concerns no call at
//! all; none is ever left out.

mod term;
mod ways;
mod words;

use std::collections::BTreeSet;
use std::slice;

use super::patterns::Patterns;
use super::resources::{Resources, stem};
use super::rule::{Asked, Rule};
use super::{Policy, Rules};
use crate::token::{ScopeSet, ScopeTable};
use term::{Term, minimal};
use ways::Ways;
use words::{EVERY_CALLER, Words};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it concerns: `tools.NAME`, `baseline`, `streams`, `server_requests`. `tools.BEGINNING*` stands for
    /// those that begin so and are neither named nor covered by a longer beginning in either policy.
    pub object: String,
    /// Of which kind it is.
    pub kind: Kind,
    /// Which calls it concerns; none if that is not a matter of the call.
    pub region: Option<Region>,
    /// The change in words.
    pub text: String,
}

/// The kinds of changes, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What was denied is allowed.
    Opens,
    /// Answers hold what was redacted.
    Reveals,
    /// What was allowed is denied.
    Closes,
    /// What answers held is redacted.
    Redacts,
    /// It goes upstream under another token.
    Delegation,
    /// What rules in shadow record as a denial.
    Shadow,
    /// What the denied are told.
    Denial,
}

/// Some of the calls of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    within: Term,
    except: Vec<Term>,
}

impl Region {
    /// The calls in `within` for which none of `others` holds.
    fn new(within: Term, others: &[Term]) -> Self {
        let possible = others.iter().filter(|other| !within.and(other).is_impossible());
        let except = minimal(possible.map(|other| other.beyond(&within)));
        Self { within, except }
    }

    /// What a call must have to be among them; and all of which it must have none.
    #[must_use]
    pub fn needs(&self, scopes: &ScopeTable) -> (Needs, Vec<Needs>) {
        let words = Words { scopes, common: &ScopeSet::default() };
        let except = self.except.iter().map(|term| words.needs(term)).collect();
        (words.needs(&self.within), except)
    }

    /// Whether a call is among them. Only the scopes of the token itself count, not what they imply.
    #[must_use]
    pub fn contains(&self, asked: Asked) -> bool {
        self.within.holds(asked) && !self.except.iter().any(|term| term.holds(asked))
    }
}

/// What a call must have, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The scopes.
    pub scopes: Vec<String>,
    /// All else, in words: `of the client x`, `the argument y is at most 5`.
    pub conditions: Vec<String>,
}

/// What changes from `old` to `new`; none stands for no policy at all. Each is compiled against one of
/// `tables`, which differ at most in what their scopes imply.
#[must_use]
pub fn compare(
    old: Option<&Policy>,
    new: Option<&Policy>,
    tables: [&ScopeTable; 2],
) -> Vec<Change> {
    let both = [old, new];
    let required = [(old, tables[0]), (new, tables[1])].map(|(policy, table)| match policy {
        Some(policy) => Term::of(&policy.baseline, table),
        None => Term::new(ScopeSet::default(), [].iter()),
    });
    let [before, after] = [&required[0].scopes, &required[1].scopes];
    let common = before.difference(&before.difference(after));
    let mut comparison = Comparison {
        words: Words { scopes: tables[1], common: &common },
        tables,
        required: &required,
        closed: Vec::new(),
        changes: Vec::new(),
    };
    let baseline = both.map(|policy| policy.map(|policy| slice::from_ref(&policy.baseline)));
    comparison.object("baseline", baseline);
    let closed = comparison.changes.iter().filter(|change| change.kind == Kind::Closes);
    comparison.closed = closed.filter_map(|change| change.region.clone()).collect();

    comparison.named("tools", both.map(|policy| Some(&policy?.tools)));
    comparison.named("prompts", both.map(|policy| Some(&policy?.prompts)));
    comparison.resources(both.map(|policy| Some(&policy?.resources)));
    comparison.methods(both);
    comparison.streams(both);
    comparison.server_requests(both);
    let mut changes: Vec<Change> = Vec::new();
    for change in comparison.changes {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes
}

/// All names and beginnings, of both sides.
fn patterns(tables: [Option<&Patterns<Rules>>; 2]) -> BTreeSet<String> {
    tables.into_iter().flatten().flat_map(|table| table.iter().map(|(name, _)| name)).collect()
}

/// A comparison on its way.
struct Comparison<'a> {
    words: Words<'a>,
    /// What their scopes imply, before and after.
    tables: [&'a ScopeTable; 2],
    /// What the endpoint requires of every request, before and after.
    required: &'a [Term; 2],
    /// What is closed for every object of the endpoint.
    closed: Vec<Region>,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn named(&mut self, kind: &str, tables: [Option<&Patterns<Rules>>; 2]) {
        for pattern in patterns(tables) {
            let rules = tables.map(|table| match pattern.strip_suffix('*') {
                Some(beginning) => table?.longest_beginning(beginning),
                None => table?.find(&pattern),
            });
            self.object(&format!("{kind}.{pattern}"), rules.map(|rules| rules.map(AsRef::as_ref)));
        }
    }

    fn resources(&mut self, sides: [Option<&Resources>; 2]) {
        let tables = sides.map(|side| side.map(Resources::patterns));
        for pattern in patterns(tables) {
            let object = format!("resources.{pattern}");
            if let Some(prefix) = pattern.strip_suffix('*') {
                let rules = tables.map(|table| Some(table?.longest_beginning(prefix)?.as_ref()));
                self.object(&object, rules);
                continue;
            }
            self.object(&object, sides.map(|side| Some(side?.rules(&pattern)?.as_ref())));
            // Read as a template, the same text can lie below another prefix.
            if pattern.contains('{') {
                let rules = sides.map(|side| Some(side?.rules_for_template(&pattern)?.as_ref()));
                self.object(&object, rules);
            }
        }
        // What some servers read as an entry's URI is below no wider entry as long as it stands there.
        let named = patterns(tables);
        let stems: BTreeSet<&str> =
            named.iter().map(|pattern| stem(pattern.trim_end_matches('*'))).collect();
        for stem in stems {
            // No entry can have the query `*`.
            for (uri, shown) in [("", ""), ("/", "/"), ("?*", "?…")] {
                let [uri, shown] = [uri, shown].map(|end| format!("{stem}{end}"));
                if named.contains(&uri) || named.contains(&format!("{uri}*")) {
                    continue;
                }
                let rules = sides.map(|side| Some(side?.rules(&uri)?.as_ref()));
                self.object(&format!("resources.{shown}"), rules);
            }
        }
    }

    /// What streams tell that belong to no one request: they lose what any rule redacts.
    fn streams(&mut self, policies: [Option<&Policy>; 2]) {
        let [Some(old), Some(new)] = policies.map(|policy| policy.map(|one| &one.redaction)) else {
            return;
        };
        for (kind, text) in words::redaction(old.as_deref(), new.as_deref()) {
            let object = "streams".to_owned();
            self.changes.push(Change { object, kind, region: None, text });
        }
    }

    fn methods(&mut self, policies: [Option<&Policy>; 2]) {
        let own = policies.iter().flatten().flat_map(|policy| policy.methods.keys());
        for name in own.copied().collect::<BTreeSet<_>>() {
            let rules = policies.map(|policy| {
                let policy = policy?;
                let baseline = slice::from_ref(&policy.baseline);
                Some(policy.methods.get(name).map_or(baseline, AsRef::as_ref))
            });
            self.object(&format!("methods.{name}"), rules);
        }
    }

    /// Compares the rules for an object, before and after.
    fn object(&mut self, object: &str, rules: [Option<&[Rule]>; 2]) {
        let ([before, after], [required_before, required_after]) = (self.tables, self.required);
        let old = Ways::of(rules[0], required_before, before);
        let new = Ways::of(rules[1], required_after, after);
        let [opened, closed] = [(&new, &old), (&old, &new)]
            .map(|(one, other)| self.difference(&one.terms, &other.terms));
        let is_same = opened.is_empty() && closed.is_empty();
        for region in opened {
            let shadow = if new.in_shadow && !old.in_shadow { ", now in shadow," } else { "" };
            let whom = self.words.region(&region, "was open already");
            self.add(object, Kind::Opens, region, format!("opens{shadow} for {whom}"));
        }
        for region in closed {
            if self.is_closed_anyway(&region, &new.terms) {
                continue;
            }
            let shadow = match (old.in_shadow && !new.in_shadow, new.terms.is_empty()) {
                (true, false) => ", now enforced,",
                (true, true) => ", so far in shadow,",
                (false, _) => "",
            };
            let whom = self.words.region(&region, "stays open");
            self.add(object, Kind::Closes, region, format!("closes{shadow} for {whom}"));
        }
        self.treatments(object, &old, &new);
        self.shadow(object, &old, &new);
        let everyone = self.required[0].and(&self.required[1]);
        let is_open = |ways: &Ways| ways.terms.iter().any(|term| term.covers(&everyone));
        // Where nobody is denied, nobody is told so.
        if let [Some(before), Some(after)] = rules
            && !is_open(&old)
            && !is_open(&new)
        {
            self.denials(object, before, after, is_same);
        }
    }

    fn add(&mut self, object: &str, kind: Kind, region: Region, text: String) {
        self.changes.push(Change { object: object.to_owned(), kind, region: Some(region), text });
    }

    /// Where one of `terms` holds and none of `others` does.
    fn difference(&self, terms: &[Term], others: &[Term]) -> Vec<Region> {
        let uncovered = terms.iter().flat_map(|term| term.uncovered(others, self.words.scopes));
        minimal(uncovered).into_iter().map(|term| Region::new(term, others)).collect()
    }

    /// Whether all of what is closed to an object lies in what is closed to the endpoint, so that it
    /// need not be said again: a caller whom the endpoint lets through, the object does too.
    fn is_closed_anyway(&self, closed: &Region, still: &[Term]) -> bool {
        self.closed.iter().any(|base| {
            base.within.covers(&closed.within)
                && base.except.iter().all(|through| {
                    let through = closed.within.and(through);
                    still.iter().any(|term| term.covers(&through))
                })
        })
    }

    /// Where one way of before and one of after decide that treat a call otherwise.
    fn treatments(&mut self, object: &str, old: &Ways, new: &Ways) {
        for (old_earlier, old_term, before) in old.each() {
            for (new_earlier, new_term, after) in new.each() {
                let texts = words::treatment(before, after);
                if texts.is_empty() {
                    continue;
                }
                let earlier = [old_earlier, new_earlier].concat();
                for term in old_term.and(new_term).uncovered(&earlier, self.words.scopes) {
                    let region = Region::new(term, &earlier);
                    let whom = self.words.region(&region, "except");
                    for (kind, text) in &texts {
                        let text = if whom == EVERY_CALLER {
                            text.clone()
                        } else {
                            format!("{text} for {whom}")
                        };
                        self.add(object, *kind, region.clone(), text);
                    }
                }
            }
        }
    }

    /// What would open or close, were it not for the shadow.
    fn shadow(&mut self, object: &str, old: &Ways, new: &Ways) {
        if !new.in_shadow {
            return;
        }
        for region in self.difference(&old.rules, &new.rules) {
            let whom = self.words.region(&region, "would stay open");
            self.add(object, Kind::Shadow, region, format!("would close, if enforced, for {whom}"));
        }
        if !old.in_shadow {
            return;
        }
        for region in self.difference(&new.rules, &old.rules) {
            let whom = self.words.region(&region, "would be open already");
            self.add(object, Kind::Shadow, region, format!("would open, if enforced, for {whom}"));
        }
    }

    /// What the denied are told. What they are asked for changes with who is denied, so it is a change
    /// of its own only where the same calls are allowed.
    fn denials(&mut self, object: &str, old: &[Rule], new: &[Rule], is_same: bool) {
        let [before, after] = [old, new].map(words::denials);
        // Messages say the name of the entry too, which is no change of what is asked for.
        let asks = |rules: &[Rule]| -> Vec<_> {
            let tests =
                |rule: &Rule| rule.requirements.iter().map(|one| one.test.clone()).collect();
            rules
                .iter()
                .map(|rule| (rule.scopes.clone(), tests(rule)))
                .collect::<Vec<(_, Vec<_>)>>()
        };
        let text = if before != after {
            format!("denied with {after} instead of {before}")
        } else if is_same && asks(old) != asks(new) {
            "denied with other words or other scopes to ask for".to_owned()
        } else {
            return;
        };
        self.changes.push(Change {
            object: object.to_owned(),
            kind: Kind::Denial,
            region: None,
            text,
        });
    }

    fn server_requests(&mut self, policies: [Option<&Policy>; 2]) {
        if policies[1].is_none() {
            return;
        }
        let [old, new] = policies.map(|policy| {
            let requests = policy.into_iter().flat_map(|policy| &policy.server_requests);
            requests.map(|request| request.as_str()).collect::<BTreeSet<_>>()
        });
        for (kind, verb, names) in [
            (Kind::Opens, "opens", new.difference(&old)),
            (Kind::Closes, "closes", old.difference(&new)),
        ] {
            for name in names {
                self.changes.push(Change {
                    object: "server_requests".to_owned(),
                    kind,
                    region: None,
                    text: format!("{verb} for answers to {name}"),
                });
            }
        }
    }
}
