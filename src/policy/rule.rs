//! One way in which an object may be used: what must hold, and what a caller is told for whom it
//! does not.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::condition::{Condition, Place, has_exact_numbers};
use super::source::{DenialShape, Enforcement};
use super::time::Window;
use super::{Denial, Permit, Remedy};
use crate::clock::Now;
use crate::exchange::Target;
use crate::mcp::{Object, Operation, Task};
use crate::response::Redaction;
use crate::token::{Caller, ScopeSet, ScopeTable};

/// One way in which an object may be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `policy.tools.name`, with `[1]` and so on behind it where there are several.
    pub name: Rc<str>,
    /// The scopes that the caller must all have, those of the endpoint among them.
    pub scopes: ScopeSet,
    /// What else must hold.
    pub requirements: Vec<Requirement>,
    /// What a caller is told for whom it does not hold, where the rule says it itself.
    pub message: Option<Rc<str>>,
    /// What a caller who lacks scopes is told, if the rule has no message.
    pub scope_message: Rc<str>,
    /// In which form a caller is denied.
    pub shape: DenialShape,
    /// Whether it decides.
    pub enforcement: Enforcement,
    /// What the caller's token is exchanged for; none if the policy says, by name, no token.
    pub target: Option<Rc<Target>>,
    /// What of the call the delegation token is bound to, if it is.
    pub binding: Option<Binding>,
    /// What the MCP server's answer loses on its way to the caller.
    pub redaction: Option<Rc<Redaction>>,
    /// The fingerprint of what it asks of arguments, if it asks for anything.
    pub arguments: Option<Rc<str>>,
}

/// What of a call a delegation token is bound to (RFC 9396 section 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The `type` of the authorization details.
    pub kind: Box<str>,
    /// The arguments.
    pub arguments: Vec<Place>,
}

impl Binding {
    /// The `authorization_details` for a call, JSON.
    fn details(&self, target: &Target, asked: Asked) -> Box<str> {
        let arguments: Map<String, Value> = self
            .arguments
            .iter()
            .filter_map(|place| {
                let argument = place.find(asked.arguments?).ok()??;
                Some((place.to_string(), argument.clone()))
            })
            .collect();
        let details = json!([{
            "type": self.kind,
            "locations": [target.audience],
            "identifier": asked.tool,
            "arguments": arguments,
        }]);
        details.to_string().into()
    }
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// What.
    pub test: Test,
    /// What a caller is told for whom it does not.
    pub message: Rc<str>,
}

/// What must hold for the caller, the call or the moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The caller has one of these scopes.
    AnyScope {
        /// All of them.
        any: ScopeSet,
        /// The one to ask for.
        first: ScopeSet,
    },
    /// The token was issued to one of these clients.
    Clients(BTreeSet<Box<str>>),
    /// The user signed in as this says.
    Authentication(Authentication),
    /// This holds for a claim.
    Claim(Place, Condition),
    /// The call comes at such a time.
    Time(Window),
    /// This holds for an argument.
    Argument(Place, Condition),
    /// There are no top-level arguments but these.
    OnlyArguments(BTreeSet<Box<str>>),
    /// All servers read these arguments of a call alike, for a token is [bound](Binding) to them.
    ClearArguments(Vec<Place>),
}

/// How and when a user must have signed in (RFC 9470 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// The authentication context classes, one of which it must have; empty for any.
    pub acr_values: Vec<Box<str>>,
    /// How long ago it may be, in seconds.
    pub max_age: Option<u64>,
}

impl Authentication {
    fn holds(&self, caller: &Caller, now: Now) -> bool {
        let claims = &caller.claims;
        let class = self.acr_values.is_empty()
            || claims.acr.as_ref().is_some_and(|acr| self.acr_values.contains(acr));
        let is_fresh = |max_age: u64| {
            claims.auth_time.is_some_and(|at| now.unix_seconds().saturating_sub(at) <= max_age)
        };
        class && self.max_age.is_none_or(is_fresh)
    }
}

/// Who asks, with which arguments, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// The arguments of a call; empty if there are none, or if no rule reads them.
    pub arguments: Option<&'a Map<String, Value>>,
    /// Of a task, the [fingerprint](Rule::arguments) of what the arguments fulfilled when it was made.
    pub fulfilled: Option<&'a str>,
    /// The tool, if it is one that is asked for.
    pub tool: Option<&'a str>,
    /// When.
    pub now: Now,
}

impl<'a> Asked<'a> {
    /// Who asks for an operation, and when.
    #[must_use]
    pub fn new(caller: &'a Caller, operation: &'a Operation, now: Now) -> Self {
        let asked = Self::of_caller(caller, now);
        match &operation.object {
            Some(Object::Task(task)) => asked.of_task(task),
            Some(Object::Subscription { .. }) => asked,
            object => {
                let tool = match object {
                    Some(Object::Tool(name)) => Some(&**name),
                    _ => None,
                };
                Self { arguments: Some(&operation.arguments), tool, ..asked }
            }
        }
    }

    /// The same of a task.
    pub(super) fn of_task(self, task: &'a Task) -> Self {
        let origin = task.origin.as_ref();
        Self {
            fulfilled: origin.and_then(|origin| origin.fulfilled.as_deref()),
            tool: origin.map(|origin| &*origin.tool),
            ..self
        }
    }

    /// Who asks for nothing in particular, and when.
    #[must_use]
    pub fn of_caller(caller: &'a Caller, now: Now) -> Self {
        Self { caller, arguments: None, fulfilled: None, tool: None, now }
    }
}

/// What a rule lacks to allow.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Outcome<'a> {
    /// Nothing.
    Holds,
    /// What the caller could obtain.
    Obtainable {
        /// The scopes that are needed, if some are lacking.
        scopes: Option<ScopeSet>,
        /// The sign-in that is needed, if it is.
        authentication: Option<&'a Authentication>,
        /// What the caller is told.
        message: &'a Rc<str>,
    },
    /// What would not help to obtain, or cannot be.
    Excluded(&'a Requirement),
}

/// The rules that are tried, in their order, each with what it lacks: up to the first that lacks nothing.
pub fn tried<'a>(
    rules: &'a [Rule],
    asked: Asked<'a>,
) -> impl Iterator<Item = (&'a Rule, Outcome<'a>)> {
    let mut holds = false;
    rules.iter().map_while(move |rule| {
        let lack = (!holds).then(|| rule.judge(asked))?;
        holds = matches!(lack, Outcome::Holds);
        Some((rule, lack))
    })
}

impl Test {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, asked: Asked) -> bool {
        let Asked { caller, arguments, now, .. } = asked;
        let claims = &caller.claims.members;
        match self {
            Self::AnyScope { any, .. } => caller.scopes.intersects(any),
            Self::Clients(clients) => {
                caller.claims.client.as_ref().is_some_and(|client| clients.contains(client))
            }
            Self::Authentication(authentication) => authentication.holds(caller, now),
            Self::Claim(place, condition) => condition.holds(place.of_claims(claims), claims),
            Self::Time(window) => window.contains(now),
            Self::Argument(place, condition) => arguments
                .and_then(|arguments| place.find(arguments).ok())
                .is_some_and(|value| condition.holds(value, claims)),
            Self::OnlyArguments(known) => arguments.is_some_and(|arguments| {
                arguments.keys().all(|name| known.contains(name.as_str()))
            }),
            Self::ClearArguments(places) => arguments.is_none_or(|arguments| {
                let is_clear = |found: Option<&Value>| found.is_none_or(has_exact_numbers);
                places.iter().all(|place| place.find(arguments).is_ok_and(is_clear))
            }),
        }
    }

    /// Whether it holds for this caller for some arguments, at some time.
    fn could_hold(&self, asked: Asked) -> bool {
        match self {
            Self::Time(_) | Self::OnlyArguments(_) | Self::ClearArguments(_) => true,
            Self::Argument(_, condition) => condition.could_hold(&asked.caller.claims.members),
            _ => self.holds(asked),
        }
    }

    /// Whether it says which arguments a call may have.
    #[must_use]
    pub fn limits_arguments(&self) -> bool {
        matches!(self, Self::Argument(..) | Self::OnlyArguments(_))
    }

    /// Whether it holds wherever `other` does, as far as can be told from what is written.
    #[must_use]
    pub fn is_implied_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AnyScope { any: ours, .. }, Self::AnyScope { any: theirs, .. }) => {
                ours.contains_all(theirs)
            }
            (Self::Clients(ours), Self::Clients(theirs))
            | (Self::OnlyArguments(ours), Self::OnlyArguments(theirs)) => ours.is_superset(theirs),
            (Self::Authentication(ours), Self::Authentication(theirs)) => {
                let class = ours.acr_values.is_empty()
                    || !theirs.acr_values.is_empty()
                        && theirs.acr_values.iter().all(|acr| ours.acr_values.contains(acr));
                let age =
                    ours.max_age.is_none_or(|ours| theirs.max_age.is_some_and(|age| age <= ours));
                class && age
            }
            (Self::Claim(place, ours), Self::Claim(other, theirs))
            | (Self::Argument(place, ours), Self::Argument(other, theirs)) => {
                place == other && ours.is_implied_by(theirs)
            }
            (Self::Time(ours), Self::Time(theirs)) => ours.includes(theirs),
            (Self::ClearArguments(ours), Self::ClearArguments(theirs)) => {
                ours.iter().all(|place| theirs.contains(place))
            }
            _ => self == other,
        }
    }

    /// Whether it holds wherever the caller has these scopes and one of `tests` implies it.
    pub(super) fn follows_from<'a>(
        &self,
        scopes: &ScopeSet,
        mut tests: impl Iterator<Item = &'a Self>,
    ) -> bool {
        match self {
            Self::AnyScope { any, .. } if scopes.intersects(any) => true,
            test => tests.any(|other| test.is_implied_by(other)),
        }
    }
}

impl Rule {
    /// What it lacks to allow.
    pub fn judge(&self, asked: Asked) -> Outcome<'_> {
        let fulfilled = asked.fulfilled.is_some() && asked.fulfilled == self.arguments.as_deref();
        self.outcome(asked.caller, |test| fulfilled && test.limits_arguments() || test.holds(asked))
    }

    /// What it lacks to allow a call with the most fortunate arguments, at the most fortunate time.
    pub fn judge_at_best(&self, asked: Asked) -> Outcome<'_> {
        self.outcome(asked.caller, |test| test.could_hold(asked))
    }

    fn outcome(&self, caller: &Caller, holds: impl Fn(&Test) -> bool) -> Outcome<'_> {
        let has_scopes = caller.scopes.contains_all(&self.scopes);
        if has_scopes && self.requirements.is_empty() {
            return Outcome::Holds;
        }
        let mut scopes = (!has_scopes).then(|| self.scopes.clone());
        let mut message = (!has_scopes).then_some(&self.scope_message);
        let mut authentication = None;
        for requirement in self.requirements.iter().filter(|one| !holds(&one.test)) {
            match &requirement.test {
                Test::AnyScope { first, .. } => {
                    scopes = Some(scopes.unwrap_or_default().union(first));
                }
                Test::Authentication(needed) => authentication = Some(needed),
                _ => return Outcome::Excluded(requirement),
            }
            message.get_or_insert(&requirement.message);
        }
        let Some(message) = message else { return Outcome::Holds };
        let scopes = scopes.map(|scopes| self.scopes.union(&scopes));
        Outcome::Obtainable { scopes, authentication, message }
    }

    /// The permit to act by this rule.
    pub(super) fn permit(&self, asked: Asked) -> Permit {
        let bound = |target: &Rc<Target>| match &self.binding {
            None => Rc::clone(target),
            Some(binding) => Rc::new(Target {
                authorization_details: Some(binding.details(target, asked)),
                ..Target::clone(target)
            }),
        };
        Permit {
            rule: Rc::clone(&self.name),
            target: self.target.as_ref().map(bound),
            redaction: self.redaction.clone(),
            fulfilled: self.arguments.clone(),
            would_deny: None,
        }
    }

    /// The denial, for a caller for whom it lacks something.
    ///
    /// None if it lacks nothing.
    pub(super) fn denial(&self, caller: &Caller, lack: Outcome) -> Option<Denial> {
        let (reason, remedy, message) = match lack {
            Outcome::Holds => return None,
            Outcome::Excluded(requirement) => {
                (requirement.test.reason(), None, &requirement.message)
            }
            Outcome::Obtainable { scopes, authentication, message } => {
                let scopes = scopes.map(|scopes| caller.to_ask_for(&scopes));
                let scopes = scopes.unwrap_or_default();
                match authentication {
                    None => ("insufficient_scope", Some(Remedy::StepUp(scopes)), message),
                    Some(needed) => {
                        let remedy = Remedy::Authenticate(needed.clone(), scopes);
                        ("insufficient_user_authentication", Some(remedy), message)
                    }
                }
            }
        };
        let remedy = match (self.shape, remedy) {
            (DenialShape::StepUp, Some(remedy)) => remedy,
            (DenialShape::Forbidden, _) => Remedy::NothingByStatus,
            _ => Remedy::Nothing,
        };
        let message = Rc::clone(self.message.as_ref().unwrap_or(message));
        Some(Denial { rule: Some(Rc::clone(&self.name)), reason, message, remedy })
    }

    /// Whether lists show its object to a caller: it allows some call, or the caller could step up
    /// to one.
    pub(super) fn shows(&self, asked: Asked) -> bool {
        match self.judge_at_best(asked) {
            Outcome::Holds => true,
            // A client steps up to no tool that it does not see.
            Outcome::Obtainable { .. } => self.shape == DenialShape::StepUp,
            Outcome::Excluded(_) => false,
        }
    }

    /// Whether it holds wherever `other` does, so that after it `other` is never reached.
    #[must_use]
    pub fn is_implied_by(&self, other: &Self, table: &ScopeTable) -> bool {
        let scopes = table.with_implied(&other.scopes);
        let follows = |test: &Test| {
            let others = other.requirements.iter().map(|other| &other.test);
            // Nobody wants another way for the calls alone that cannot be bound to.
            matches!(test, Test::ClearArguments(_)) || test.follows_from(&scopes, others)
        };
        scopes.contains_all(&self.scopes)
            && self.requirements.iter().all(|requirement| follows(&requirement.test))
    }

    /// Whether it holds at some times and not at others.
    #[must_use]
    pub fn reads_time(&self) -> bool {
        self.requirements.iter().any(|requirement| matches!(requirement.test, Test::Time(_)))
    }

    /// Whether it reads a call's arguments.
    #[must_use]
    pub fn reads_arguments(&self) -> bool {
        let reads =
            |test: &Test| test.limits_arguments() || matches!(test, Test::ClearArguments(_));
        self.requirements.iter().any(|requirement| reads(&requirement.test))
    }
}

impl Test {
    /// One word for the audit record.
    fn reason(&self) -> &'static str {
        match self {
            Self::AnyScope { .. } => "insufficient_scope",
            Self::Clients(_) => "client_not_allowed",
            Self::Authentication(_) => "insufficient_user_authentication",
            Self::Claim(..) => "claim_not_allowed",
            Self::Time(_) => "time_not_allowed",
            Self::Argument(..) | Self::OnlyArguments(_) | Self::ClearArguments(_) => {
                "argument_not_allowed"
            }
        }
    }
}

impl fmt::Display for Authentication {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.acr_values.is_empty() {
            write!(out, "a sign-in of the class {}", self.acr_values.join(" or "))?;
        }
        match (self.acr_values.is_empty(), self.max_age) {
            (_, None) => Ok(()),
            (true, Some(age)) => write!(out, "a sign-in within the last {age} seconds"),
            (false, Some(age)) => write!(out, " within the last {age} seconds"),
        }
    }
}

#[cfg(test)]
impl Rule {
    /// A rule without requirements.
    pub(super) fn sample(name: &str) -> Self {
        Self {
            name: name.into(),
            scopes: ScopeSet::default(),
            requirements: Vec::new(),
            message: None,
            scope_message: "".into(),
            shape: DenialShape::StepUp,
            enforcement: Enforcement::Enforce,
            target: None,
            binding: None,
            redaction: None,
            arguments: None,
        }
    }
}
