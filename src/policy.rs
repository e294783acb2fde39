//! May this caller do this? A [`Permit`] that names the rule, or a [`Denial`] that says what would
//! help. Rules only allow: what no rule names is denied.

pub mod compile;
pub mod condition;
#[cfg(not(target_arch = "wasm32"))]
pub mod diff;
pub mod patterns;
mod resources;
pub mod rule;
pub mod source;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::slice;

use crate::clock::Now;
use crate::exchange::Target;
use crate::mcp::{Class, Method, Object, Operation, Response, ServerRequest, Task};
use crate::response::Redaction;
use crate::token::{Caller, ScopeSet};
use patterns::Patterns;
use resources::Resources;
use rule::{Asked, Authentication, Rule, tried};
pub use source::{DenialShape, Enforcement};

/// The rules for one endpoint, as look-up tables.
#[derive(Debug)]
pub struct Policy {
    baseline: Rule,
    tools: Patterns<Rules>,
    prompts: Patterns<Rules>,
    resources: Resources,
    methods: BTreeMap<&'static str, Rules>,
    server_requests: Vec<ServerRequest>,
    claims: BTreeSet<Box<str>>,
    /// What any rule redacts.
    redaction: Option<Rc<Redaction>>,
}

/// The ways in which an object may be used, at least one: the first that holds allows.
pub type Rules = Box<[Rule]>;

/// Proof that a rule allowed an operation for a caller. Only [`Policy`] makes one, and nothing goes
/// upstream without one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    rule: Rc<str>,
    target: Option<Rc<Target>>,
    redaction: Option<Rc<Redaction>>,
    fulfilled: Option<Rc<str>>,
    would_deny: Option<Denial>,
}

impl Permit {
    /// The rule that allowed, as `policy.tools.name` or `policy.baseline`.
    #[must_use]
    pub fn rule(&self) -> &Rc<str> {
        &self.rule
    }

    /// What to exchange the caller's token for; none if the rule says, by name, no token.
    #[must_use]
    pub fn target(&self) -> Option<&Rc<Target>> {
        self.target.as_ref()
    }

    /// What the answer loses on its way to the caller.
    #[must_use]
    pub fn redaction(&self) -> Option<&Rc<Redaction>> {
        self.redaction.as_ref()
    }

    /// The [fingerprint](Rule::arguments) of what the rule asks of arguments, if it does.
    #[must_use]
    pub fn fulfilled(&self) -> Option<&Rc<str>> {
        self.fulfilled.as_ref()
    }

    /// The denial that it would have been, were the rule that allowed not in shadow.
    #[must_use]
    pub fn would_deny(&self) -> Option<&Denial> {
        self.would_deny.as_ref()
    }
}

/// Why an operation is not allowed, and what the client is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that stands in the way: mostly one that the caller or the call does not satisfy. None
    /// if no rule names the operation.
    pub rule: Option<Rc<str>>,
    /// One word for the audit record.
    pub reason: &'static str,
    /// One plain sentence.
    pub message: Rc<str>,
    /// What would help.
    pub remedy: Remedy,
}

/// What a denied client can do.
#[derive(Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Ask for these scopes: the rule's, and those of its own that the caller already holds, since
    /// some clients ask for the challenged scopes alone and lose the rest.
    StepUp(ScopeSet),
    /// Have the user sign in like this (RFC 9470), and ask for these scopes, if there are any.
    Authenticate(Authentication, ScopeSet),
    /// Nothing. The message reaches the model as a JSON-RPC error.
    Nothing,
    /// Nothing, and the HTTP status says so.
    NothingByStatus,
}

impl Policy {
    /// Judges what an MCP message asks for.
    ///
    /// # Errors
    /// The denial, if no rule names the operation, or none that does holds.
    pub fn decide(
        &self,
        caller: &Caller,
        operation: &Operation,
        now: Now,
    ) -> Result<Permit, Denial> {
        let asked = Asked::new(caller, operation, now);
        match &operation.object {
            Some(Object::Subscription { resources, tasks }) => {
                self.decide_subscription(asked, resources, tasks)
            }
            _ => self.decide_by(self.rules_for(operation), asked, || describe(operation)),
        }
    }

    /// Judges a request that asks for no object: opening a stream, ending a session, or any other
    /// message without an object.
    ///
    /// # Errors
    /// The denial, if the caller lacks a scope that the endpoint requires.
    pub fn decide_baseline(&self, caller: &Caller, now: Now) -> Result<Permit, Denial> {
        let asked = Asked::of_caller(caller, now);
        let denial = self.baseline.denial(caller, self.baseline.judge(asked));
        denial.map_or_else(|| Ok(self.baseline.permit(asked)), Err)
    }

    /// Judges a request that opens a stream. It can tell of any object, and replay any answer, so it
    /// loses what any rule redacts.
    ///
    /// # Errors
    /// As for the baseline.
    pub fn decide_stream(&self, caller: &Caller, now: Now) -> Result<Permit, Denial> {
        let permit = self.decide_baseline(caller, now)?;
        Ok(Permit { redaction: self.redaction.clone(), ..permit })
    }

    /// Judges the messages of a batch: each must be allowed.
    ///
    /// # Errors
    /// The first denial, or that they are not all delegated alike. What is denied by a JSON-RPC
    /// error, which needs an id, is denied by the HTTP status here.
    pub fn decide_batch(
        &self,
        caller: &Caller,
        operations: &[Operation],
        now: Now,
    ) -> Result<Permit, Denial> {
        let permits = operations.iter().map(|operation| self.decide(caller, operation, now));
        let permit = in_common(permits, "the messages of this batch");
        let permit =
            permit.and_then(|permit| permit.map_or_else(|| self.decide_baseline(caller, now), Ok));
        permit.map_err(|denial| match denial.remedy {
            Remedy::Nothing => Denial { remedy: Remedy::NothingByStatus, ..denial },
            _ => denial,
        })
    }

    /// Judges a response to a request of the server's.
    ///
    /// # Errors
    /// The denial, if the policy does not name the request, or as for the baseline.
    pub fn decide_response(
        &self,
        caller: &Caller,
        response: Response,
        now: Now,
    ) -> Result<Permit, Denial> {
        let allowed = match response {
            Response::Result(request) => self.server_requests.contains(&request),
            // No more than that the client did not do what it was asked.
            Response::Error => !self.server_requests.is_empty(),
            Response::Unknown => false,
        };
        if allowed {
            return self.decide_baseline(caller, now);
        }
        let message = "Access denied: no rule allows this response.";
        Err(Denial::nothing("server_request_not_allowed", message))
    }

    /// Whether lists show an object to a caller: some call of it is allowed, or they could step up
    /// to one.
    #[must_use]
    pub fn shows(&self, caller: &Caller, object: &Object, now: Now) -> bool {
        let asked = Asked::of_caller(caller, now);
        let baseline = &self.baseline.scopes;
        self.rules(object).is_some_and(|rules| {
            rules.iter().any(|rule| {
                rule.shows(asked)
                    || rule.enforcement == Enforcement::Shadow
                        && caller.scopes.contains_all(baseline)
            })
        })
    }

    /// Whether the decision on an operation needs its arguments, if its method has any.
    #[must_use]
    pub fn reads_arguments(&self, operation: &Operation) -> bool {
        let rules = operation.object.as_ref().and_then(|object| self.rules(object));
        rules.is_some_and(|rules| rules.iter().any(Rule::reads_arguments))
    }

    /// The names of the claims that the rules read.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(AsRef::as_ref)
    }

    /// The rules for an object, in the order in which they are tried.
    #[must_use]
    pub fn rules(&self, object: &Object) -> Option<&[Rule]> {
        let rules = match object {
            Object::Tool(name) => self.tools.find(name),
            Object::Prompt(name) => self.prompts.find(name),
            Object::Resource(uri) => self.resources.rules(uri),
            Object::ResourceTemplate(template) => self.resources.rules_for_template(template),
            Object::Task(task) => self.rules_of_task(task),
            Object::Subscription { .. } => None,
        };
        rules.map(AsRef::as_ref)
    }

    /// The rules by which an operation is judged, in the order in which they are tried.
    #[must_use]
    pub fn rules_for(&self, operation: &Operation) -> Option<&[Rule]> {
        let method = operation.method;
        match &operation.object {
            Some(object) => self.rules(object),
            // A list of tasks is one of all callers'.
            None if method.class() == Class::Baseline && method != Method::TasksList => {
                Some(self.rules_for_method(method).unwrap_or(slice::from_ref(&self.baseline)))
            }
            None => None,
        }
    }

    /// All rules, by name.
    #[must_use]
    pub fn all_rules(&self) -> Vec<&Rule> {
        let named = [&self.tools, &self.prompts, self.resources.patterns()];
        let named = named.into_iter().flat_map(|patterns| patterns.iter().map(|(_, rules)| rules));
        let mut all: Vec<&Rule> = named.chain(self.methods.values()).flatten().collect();
        all.push(&self.baseline);
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The rule for what has no object and no rule of its own.
    #[must_use]
    pub fn baseline(&self) -> &Rule {
        &self.baseline
    }

    /// The rules for a method without an object, if it has any of its own.
    #[must_use]
    pub fn rules_for_method(&self, method: Method) -> Option<&[Rule]> {
        self.methods.get(method.as_str()).map(AsRef::as_ref)
    }

    /// Judges by the rules of an object, if there are any: the first that holds allows; where none
    /// does, the first in shadow. A hidden object's denial says what would be said if there were no
    /// rule.
    fn decide_by(
        &self,
        rules: Option<&[Rule]>,
        asked: Asked,
        what: impl Fn() -> String,
    ) -> Result<Permit, Denial> {
        let rules = rules.unwrap_or_default();
        let no_rule =
            || Denial::nothing("no_rule", format!("Access denied: no rule allows {}.", what()));
        let mut denied: Option<(&Rule, Denial)> = None;
        for (rule, lack) in tried(rules, asked) {
            let Some(denial) = rule.denial(asked.caller, lack) else {
                return Ok(rule.permit(asked));
            };
            // What the caller can mend says more than what nobody can.
            if denied.as_ref().is_none_or(|(_, first)| !first.helps() && denial.helps()) {
                denied = Some((rule, denial));
            }
        }
        let Some((rule, denial)) = denied else { return Err(no_rule()) };
        let in_shadow = rules.iter().find(|rule| rule.enforcement == Enforcement::Shadow);
        match (in_shadow, rule.shape) {
            // What the endpoint requires of every request is no rule's to put on trial.
            (Some(rule), _) if asked.caller.scopes.contains_all(&self.baseline.scopes) => {
                let would_deny = Some(denial);
                Ok(Permit { would_deny, fulfilled: None, ..rule.permit(asked) })
            }
            (_, DenialShape::Hidden) => {
                Err(Denial { rule: denial.rule, reason: denial.reason, ..no_rule() })
            }
            _ => Err(denial),
        }
    }

    /// Whoever listens to resources and tasks could read them, so each must be allowed.
    fn decide_subscription(
        &self,
        asked: Asked,
        uris: &[Box<str>],
        tasks: &[Task],
    ) -> Result<Permit, Denial> {
        let resources = uris.iter().map(|uri| {
            let rules = self.resources.rules(uri).map(AsRef::as_ref);
            self.decide_by(rules, asked, || format!("the resource {uri}"))
        });
        let tasks = tasks.iter().map(|task| {
            let rules = self.rules_of_task(task).map(AsRef::as_ref);
            self.decide_by(rules, asked.of_task(task), || describe_task(task, "this task"))
        });
        let permit = in_common(resources.chain(tasks), "these resources and tasks")?;
        let permit = permit.map_or_else(|| self.decide_baseline(asked.caller, asked.now), Ok)?;
        Ok(Permit { redaction: self.redaction.clone(), ..permit })
    }

    /// The rules of the tool that made it: they hold on every way to the tool.
    fn rules_of_task(&self, task: &Task) -> Option<&Rules> {
        self.tools.find(&task.origin.as_ref()?.tool)
    }
}

/// The permit for all, if all are permitted: one request has one token, so all must be delegated
/// alike. Its answers are not told apart, so each loses what any of them does. None if there are
/// none.
fn in_common(
    permits: impl Iterator<Item = Result<Permit, Denial>>,
    what: &str,
) -> Result<Option<Permit>, Denial> {
    let mut common: Option<Permit> = None;
    for permit in permits {
        let permit = permit?;
        if common.as_ref().is_some_and(|first| first.target != permit.target) {
            let message = format!("Access denied: {what} have no delegation in common.");
            let denial = Denial::nothing("no_common_delegation", message);
            return Err(Denial { rule: Some(permit.rule), ..denial });
        }
        let Some(common) = &mut common else {
            common = Some(permit);
            continue;
        };
        common.would_deny = common.would_deny.take().or(permit.would_deny);
        common.redaction = Redaction::of_both(common.redaction.take(), permit.redaction);
    }
    Ok(common)
}

fn describe(operation: &Operation) -> String {
    match &operation.object {
        Some(Object::Tool(name)) => format!("the tool {name}"),
        Some(Object::Prompt(name)) => format!("the prompt {name}"),
        Some(Object::Resource(uri) | Object::ResourceTemplate(uri)) => {
            format!("the resource {uri}")
        }
        Some(Object::Task(task)) => describe_task(task, operation.method.as_str()),
        _ => operation.method.as_str().to_owned(),
    }
}

fn describe_task(task: &Task, otherwise: &str) -> String {
    let origin = task.origin.as_ref();
    origin.map_or_else(|| otherwise.to_owned(), |origin| format!("the tool {}", origin.tool))
}

impl Denial {
    /// By no rule in particular, and nothing would help.
    #[must_use]
    pub fn nothing(reason: &'static str, message: impl Into<Rc<str>>) -> Self {
        Self { rule: None, reason, message: message.into(), remedy: Remedy::Nothing }
    }

    /// Whether something would help.
    fn helps(&self) -> bool {
        matches!(self.remedy, Remedy::StepUp(_) | Remedy::Authenticate(..))
    }
}
