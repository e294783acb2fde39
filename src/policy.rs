//! May this caller do this? A [`Permit`] that names the rule, or a [`Denial`] that says what would
//! help. Rules only allow: what no rule names is denied.

pub mod compile;
mod resources;
pub mod source;

use std::collections::HashMap;
use std::rc::Rc;

use crate::exchange::Target;
use crate::mcp::{Class, Method, Object, Operation, Response, ServerRequest, Task};
use crate::token::{Caller, ScopeSet};
use resources::Resources;
pub use source::DenialShape;

/// The rules for one endpoint, as look-up tables.
#[derive(Debug)]
pub struct Policy {
    baseline: Rule,
    tools: HashMap<Box<str>, Rule>,
    prompts: HashMap<Box<str>, Rule>,
    resources: Resources,
    server_requests: Vec<ServerRequest>,
}

#[derive(Debug)]
struct Rule {
    name: Rc<str>,
    required: ScopeSet,
    message: Rc<str>,
    shape: DenialShape,
    target: Option<Rc<Target>>,
}

/// Proof that a rule allowed an operation for a caller. Only [`Policy`] makes one, and nothing goes
/// upstream without one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    rule: Rc<str>,
    target: Option<Rc<Target>>,
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
}

/// Why an operation is not allowed, and what the client is told.
#[derive(Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule whose scopes the caller lacks; none if no rule names the operation.
    pub rule: Option<Rc<str>>,
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
    /// Nothing. The message reaches the model as a JSON-RPC error.
    Nothing,
    /// Nothing, and the HTTP status says so.
    NothingByStatus,
}

impl Policy {
    /// Judges what an MCP message asks for.
    ///
    /// # Errors
    /// The denial, if no rule names the operation or the caller lacks what the rule requires.
    pub fn decide(&self, caller: &Caller, operation: &Operation) -> Result<Permit, Denial> {
        match (operation.method.class(), &operation.object) {
            // A list of tasks is one of all callers'.
            (Class::Baseline, None) if operation.method != Method::TasksList => {
                self.decide_baseline(caller)
            }
            (_, Some(Object::Subscription { resources, tasks })) => {
                self.decide_subscription(caller, resources, tasks)
            }
            (_, object) => {
                let rule = object.as_ref().and_then(|object| self.rule(object));
                decide(rule, caller, || describe(operation))
            }
        }
    }

    /// Judges a request that asks for no object: opening a stream, ending a session, or a message
    /// of the kind.
    ///
    /// # Errors
    /// The denial, if the caller lacks a scope that the endpoint requires.
    pub fn decide_baseline(&self, caller: &Caller) -> Result<Permit, Denial> {
        self.baseline.decide(caller)
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
    ) -> Result<Permit, Denial> {
        let permits = operations.iter().map(|operation| self.decide(caller, operation));
        let permit = in_common(permits, "the messages of this batch");
        let permit =
            permit.and_then(|permit| permit.map_or_else(|| self.decide_baseline(caller), Ok));
        permit.map_err(|denial| match denial.remedy {
            Remedy::Nothing => Denial { remedy: Remedy::NothingByStatus, ..denial },
            _ => denial,
        })
    }

    /// Judges a response to a request of the server's.
    ///
    /// # Errors
    /// The denial, if the policy does not name the request, or as for the baseline.
    pub fn decide_response(&self, caller: &Caller, response: Response) -> Result<Permit, Denial> {
        let allowed = match response {
            Response::Result(request) => self.server_requests.contains(&request),
            // No more than that the client did not do what it was asked.
            Response::Error => !self.server_requests.is_empty(),
            Response::Unknown => false,
        };
        if allowed {
            return self.decide_baseline(caller);
        }
        Err(Denial::nothing("Access denied: no rule allows this response.".to_owned()))
    }

    /// Whether lists show an object to a caller: its rule allows them, or they could step up to it.
    #[must_use]
    pub fn shows(&self, caller: &Caller, object: &Object) -> bool {
        self.rule(object).is_some_and(|rule| {
            // A client steps up to no tool that it does not see.
            rule.shape == DenialShape::StepUp || caller.scopes.contains_all(&rule.required)
        })
    }

    /// Whoever listens to resources and tasks could read them, so each must be allowed.
    fn decide_subscription(
        &self,
        caller: &Caller,
        uris: &[Box<str>],
        tasks: &[Task],
    ) -> Result<Permit, Denial> {
        let resources = uris
            .iter()
            .map(|uri| decide(self.resources.rule(uri), caller, || format!("the resource {uri}")));
        let tasks = tasks.iter().map(|task| {
            decide(self.rule_of_task(task), caller, || describe_task(task, "this task"))
        });
        let permit = in_common(resources.chain(tasks), "these resources and tasks")?;
        permit.map_or_else(|| self.decide_baseline(caller), Ok)
    }

    fn rule(&self, object: &Object) -> Option<&Rule> {
        match object {
            Object::Tool(name) => self.tools.get(name),
            Object::Prompt(name) => self.prompts.get(name),
            Object::Resource(uri) => self.resources.rule(uri),
            Object::ResourceTemplate(template) => self.resources.rule_for_template(template),
            Object::Task(task) => self.rule_of_task(task),
            Object::Subscription { .. } => None,
        }
    }

    /// The rule of the tool that made it: it holds on every way to the tool.
    fn rule_of_task(&self, task: &Task) -> Option<&Rule> {
        self.tools.get(task.tool.as_ref()?)
    }
}

/// The permit for all, if all are permitted: one request has one token, so all must be delegated
/// alike. None if there are none.
fn in_common(
    permits: impl Iterator<Item = Result<Permit, Denial>>,
    what: &str,
) -> Result<Option<Permit>, Denial> {
    let mut common: Option<Permit> = None;
    for permit in permits {
        let permit = permit?;
        if common.as_ref().is_some_and(|first| first.target != permit.target) {
            let message = format!("Access denied: {what} have no delegation in common.");
            return Err(Denial::nothing(message));
        }
        common.get_or_insert(permit);
    }
    Ok(common)
}

impl Rule {
    fn decide(&self, caller: &Caller) -> Result<Permit, Denial> {
        if caller.scopes.contains_all(&self.required) {
            return Ok(Permit { rule: Rc::clone(&self.name), target: self.target.clone() });
        }
        let remedy = match self.shape {
            DenialShape::StepUp => Remedy::StepUp(self.required.union(&caller.scopes)),
            DenialShape::Error | DenialShape::Hidden => Remedy::Nothing,
            DenialShape::Forbidden => Remedy::NothingByStatus,
        };
        let (rule, message) = (Some(Rc::clone(&self.name)), Rc::clone(&self.message));
        Err(Denial { rule, message, remedy })
    }
}

/// Judges by a rule, if there is one. A hidden object's denial says what would be said if there were
/// none.
fn decide(
    rule: Option<&Rule>,
    caller: &Caller,
    what: impl Fn() -> String,
) -> Result<Permit, Denial> {
    let no_rule = || Denial::nothing(format!("Access denied: no rule allows {}.", what()));
    let rule = rule.ok_or_else(no_rule)?;
    rule.decide(caller).map_err(|denial| match rule.shape {
        DenialShape::Hidden => Denial { rule: denial.rule, ..no_rule() },
        _ => denial,
    })
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
    let tool = task.tool.as_ref();
    tool.map_or_else(|| otherwise.to_owned(), |tool| format!("the tool {tool}"))
}

impl Denial {
    /// Nothing would help.
    #[must_use]
    pub fn nothing(message: String) -> Self {
        Self { rule: None, message: message.into(), remedy: Remedy::Nothing }
    }
}
