//! May this caller do this? A [`Permit`] that names the rule, or a [`Denial`] that says what would
//! help. Rules only allow: what no rule names is denied.

pub mod compile;
pub mod source;

use std::collections::HashMap;
use std::rc::Rc;

use crate::exchange::Target;
use crate::mcp::{Class, Method, Object, Operation};
use crate::token::{Caller, ScopeSet};

/// The rules for one endpoint, as look-up tables.
#[derive(Debug)]
pub struct Policy {
    baseline: Rule,
    tools: HashMap<Box<str>, Rule>,
}

#[derive(Debug)]
struct Rule {
    name: Rc<str>,
    required: ScopeSet,
    message: Rc<str>,
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

/// Why an operation is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub enum Denial {
    /// A step-up to more scopes would help.
    InsufficientScope {
        /// The rule that would have allowed.
        rule: Rc<str>,
        /// What to ask for: the rule's scopes and those of its own that the caller already holds,
        /// since some clients ask for the challenged scopes alone and lose the rest.
        scopes: ScopeSet,
        /// The rule's plain sentence.
        message: Rc<str>,
    },
    /// Nothing that the caller could obtain would help.
    Forbidden {
        /// A plain sentence.
        message: String,
    },
}

impl Policy {
    /// Judges what an MCP message asks for.
    ///
    /// # Errors
    /// The denial, if no rule names the operation or the caller lacks what the rule requires.
    pub fn decide(&self, caller: &Caller, operation: &Operation) -> Result<Permit, Denial> {
        match (operation.method.class(), &operation.object) {
            // A list of tasks shows other callers' too, until tasks are bound to theirs.
            (Class::Baseline, None) if operation.method != Method::TasksList => {
                self.decide_baseline(caller)
            }
            (Class::Tool, Some(Object::Tool(name))) => match self.tools.get(name) {
                Some(rule) => rule.decide(caller),
                None => Err(Denial::Forbidden {
                    message: format!("Access denied: no rule allows the tool {name}."),
                }),
            },
            _ => Err(Denial::Forbidden {
                message: format!("Access denied: no rule allows {}.", operation.method.as_str()),
            }),
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
}

impl Rule {
    fn decide(&self, caller: &Caller) -> Result<Permit, Denial> {
        if caller.scopes.contains_all(&self.required) {
            return Ok(Permit { rule: Rc::clone(&self.name), target: self.target.clone() });
        }
        Err(Denial::InsufficientScope {
            rule: Rc::clone(&self.name),
            scopes: self.required.union(&caller.scopes),
            message: Rc::clone(&self.message),
        })
    }
}
