//! Policies where they judge, and what they say.

use mcp_deputy::answer::{About, LocalReply, Refusal, refuse};
use mcp_deputy::config::{Config, ConfigErrors, Endpoint, Problems};
use mcp_deputy::mcp::{Id, Revision};
use mcp_deputy::policy::compile::Surroundings;
use mcp_deputy::policy::{Denial, Permit, Policy, Remedy};
use mcp_deputy::token::ScopeSet;
use serde_json::{Value, json};

use crate::call::Judgement;
use crate::cases::{Allow, Deny, SignIn};
use crate::source::Source;

/// A policy at an endpoint, or by itself if no endpoint uses it.
pub struct Judge<'a> {
    /// The policy's name.
    pub name: &'a str,
    /// The rules.
    pub policy: Rules<'a>,
    /// The configuration around them.
    pub config: &'a Config,
}

/// Where the rules come from.
pub enum Rules<'a> {
    /// An endpoint that uses them.
    At(&'a Endpoint),
    /// No endpoint uses them, so none adds the scopes that it requires.
    Alone(Box<Policy>),
}

impl<'a> Judge<'a> {
    /// Every endpoint that uses a policy, or where none does, the policy by itself.
    ///
    /// # Errors
    /// What is wrong with the policy.
    pub fn all(source: &'a Source, name: &'a str) -> Result<Vec<Self>, ConfigErrors> {
        let config = &source.config;
        let judges: Vec<Self> =
            Self::at_endpoints(source).filter(|judge| judge.name == name).collect();
        if !judges.is_empty() {
            return Ok(judges);
        }
        let mut problems = Problems::default();
        let policy = source.typed.policies.get(name).map(|policy| {
            let around = Surroundings {
                name,
                scopes: &config.scopes,
                required: &ScopeSet::default(),
                enforcement: source.typed.enforcement,
            };
            Policy::compile(policy, &around, &mut problems)
        });
        let judge = |policy| vec![Self { name, policy: Rules::Alone(Box::new(policy)), config }];
        problems.into_result(policy.map(judge))
    }

    /// The policies of all endpoints.
    pub fn at_endpoints(source: &'a Source) -> impl Iterator<Item = Self> {
        let config = &source.config;
        let named = source.typed.endpoints.iter().zip(&config.endpoints);
        named.map(|(raw, endpoint)| Self { name: &raw.policy, policy: Rules::At(endpoint), config })
    }

    /// The rules.
    pub fn policy(&self) -> &Policy {
        match &self.policy {
            Rules::At(endpoint) => &endpoint.policy,
            Rules::Alone(policy) => policy,
        }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match &self.policy {
            Rules::At(endpoint) => Some(endpoint),
            Rules::Alone(_) => None,
        }
    }

    /// The revisions of MCP that are served there.
    pub fn revisions(&self) -> &[Revision] {
        self.endpoint().map_or(&Revision::ALL, |endpoint| &endpoint.revisions)
    }

    /// Whether it is meant where people name an endpoint, or none.
    pub fn is_at(&self, path: Option<&str>) -> bool {
        path.is_none_or(|path| self.endpoint().is_some_and(|endpoint| *endpoint.path == *path))
    }

    /// The answer to a client whose call is refused.
    pub fn answer(&self, refusal: &Refusal, id: Option<&Id>) -> LocalReply {
        refuse(self.config, refusal, About { id, endpoint: self.endpoint() })
    }

    /// What became of a call, as an object: `allow`, `deny` or `refuse`, each with the particulars
    /// by which decision cases can expect it.
    pub fn verdict(&self, judgement: &Judgement) -> Value {
        let refusal = match &judgement.result {
            Ok(permit) => return json!({"allow": self.allowed(permit)}),
            Err(refusal) => refusal,
        };
        let status = self.answer(refusal, judgement.id.as_ref()).status;
        match refusal {
            Refusal::Denied(denial) => {
                json!({"deny": Deny { status: Some(status), ..self.denied(denial) }})
            }
            _ => json!({"refuse": {"reason": refusal.reason(), "status": status}}),
        }
    }

    fn allowed(&self, permit: &Permit) -> Allow {
        let target = permit.target();
        Allow {
            rule: Some(permit.rule().to_string()),
            scope: target.map(|target| target.scope.to_string()),
            audience: target.map(|target| target.audience.to_string()),
            would_deny: permit.would_deny().map(|denial| self.denied(denial)),
        }
    }

    fn denied(&self, denial: &Denial) -> Deny {
        let (scopes, needed) = match &denial.remedy {
            Remedy::StepUp(scopes) => (Some(scopes), None),
            Remedy::Authenticate(needed, scopes) => (Some(scopes), Some(needed)),
            Remedy::Nothing | Remedy::NothingByStatus => (None, None),
        };
        let scopes = scopes.map(|scopes| self.config.scopes.names(scopes)).unwrap_or_default();
        Deny {
            rule: denial.rule.as_ref().map(ToString::to_string),
            reason: Some(denial.reason.to_owned()),
            message: Some(denial.message.to_string()),
            status: None,
            step_up: Some(scopes.into_iter().map(str::to_owned).collect()),
            sign_in: needed.map(SignIn::new),
        }
    }
}
