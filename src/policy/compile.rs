//! From a policy as written to look-up tables; every error at once.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::resources::Resources;
use super::source::{Baseline, Delegation, Policy as Source, Rule as RuleSource};
use super::{DenialShape, Policy, Rule};
use crate::config::{Duration, Problems};
use crate::exchange::Target;
use crate::token::{ScopeSet, ScopeTable, is_scope_token};

/// What a policy is compiled against.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The policy's name.
    pub name: &'a str,
    /// The scopes that a caller can obtain.
    pub scopes: &'a ScopeTable,
    /// What the endpoint requires of every request.
    pub required: &'a ScopeSet,
}

/// The longest message that a denial may carry, in bytes: it goes into every refused answer.
const MESSAGE_BYTES: usize = 1_000;

impl Policy {
    /// Compiles `source`; what is wrong with it goes to `problems`, under `policies.NAME`.
    pub fn compile(source: &Source, around: &Surroundings, problems: &mut Problems) -> Self {
        let path = format!("policies.{}", around.name);
        let defaults = Defaults::new(source, &path, problems);
        let baseline = Rule {
            name: format!("{}.baseline", around.name).into(),
            required: around.required.clone(),
            message: scope_message("this MCP server", around.required, around.scopes),
            shape: DenialShape::StepUp,
            target: match &source.baseline {
                Baseline::WithoutToken => None,
                Baseline::Delegation(delegation) => {
                    let path = format!("{path}.baseline.delegation");
                    Some(defaults.target(delegation, &path, problems))
                }
            },
        };
        let rule = |kind: &str, name: &str, source: &RuleSource, problems: &mut Problems| {
            let path = format!("{path}.{kind}.{name}");
            let required = required(source, around, &path, problems);
            Rule {
                name: format!("{}.{kind}.{name}", around.name).into(),
                message: message(source, name, &required, around, &path, problems),
                required,
                shape: source.denial,
                target: Some(defaults.target(
                    &source.delegation,
                    &format!("{path}.delegation"),
                    problems,
                )),
            }
        };
        let mut named = |kind: &str, sources: &BTreeMap<String, RuleSource>| {
            let mut rules = HashMap::with_capacity(sources.len());
            for (name, source) in sources {
                if !crate::mcp::is_name(name) {
                    problems.add_with_help(
                        format!("policies.{}.{kind}.{name}", around.name),
                        format!("`{name}` is not a {} name", kind.trim_end_matches('s')),
                        "a name has 1 to 128 letters, digits, `_`, `-` and `.`",
                    );
                }
                rules.insert(name.as_str().into(), rule(kind, name, source, problems));
            }
            rules
        };
        let (tools, prompts) = (named("tools", &source.tools), named("prompts", &source.prompts));
        let mut resources = Resources::default();
        for (uri, source) in &source.resources {
            let rule = rule("resources", uri, source, problems);
            if let Err(help) = resources.insert(uri, rule) {
                let path = format!("policies.{}.resources.{uri}", around.name);
                problems.add_with_help(path, format!("`{uri}` is not a resource"), help);
            }
        }
        let server_requests = source.server_requests.clone();
        Self { baseline, tools, prompts, resources, server_requests }
    }
}

fn required(
    rule: &RuleSource,
    around: &Surroundings,
    path: &str,
    problems: &mut Problems,
) -> ScopeSet {
    let scopes = &rule.require.scopes;
    let path = format!("{path}.require.scopes");
    around.required.union(&known_scopes(scopes, around.scopes, &path, problems))
}

/// The set of `scopes`, each of which must be one that a caller can obtain.
pub(crate) fn known_scopes(
    scopes: &[String],
    known: &ScopeTable,
    path: &str,
    problems: &mut Problems,
) -> ScopeSet {
    for (index, scope) in scopes.iter().enumerate() {
        if !known.contains(scope) {
            let message = format!("unknown scope `{scope}`");
            problems.add_unknown(format!("{path}[{index}]"), message, scope, known.iter());
        }
    }
    known.set(scopes.iter().map(String::as_str))
}

fn message(
    rule: &RuleSource,
    tool: &str,
    required: &ScopeSet,
    around: &Surroundings,
    path: &str,
    problems: &mut Problems,
) -> Rc<str> {
    let Some(message) = &rule.message else {
        return scope_message(tool, required, around.scopes);
    };
    if message.is_empty() || message.len() > MESSAGE_BYTES || message.chars().any(char::is_control)
    {
        problems.add_with_help(
            format!("{path}.message"),
            "the message is empty, too long or has control characters",
            format!("write one plain sentence of at most {MESSAGE_BYTES} bytes"),
        );
    }
    message.as_str().into()
}

fn scope_message(what: &str, required: &ScopeSet, scopes: &ScopeTable) -> Rc<str> {
    format!("Access denied: {what} requires the scope {}.", scopes.names(required).join(" ")).into()
}

/// What a delegation takes from its policy.
struct Defaults<'a> {
    audience: &'a str,
    lifetime: Duration,
}

impl<'a> Defaults<'a> {
    fn new(source: &'a Source, path: &str, problems: &mut Problems) -> Self {
        check_audience(&source.audience, &format!("{path}.audience"), problems);
        check_lifetime(source.lifetime, &format!("{path}.lifetime"), problems);
        Self { audience: &source.audience, lifetime: source.lifetime }
    }

    fn target(&self, delegation: &Delegation, path: &str, problems: &mut Problems) -> Rc<Target> {
        if !is_scope_token(&delegation.scope) {
            problems.add_with_help(
                format!("{path}.scope"),
                format!("`{}` is not a scope", delegation.scope),
                "a delegation has exactly one scope, without spaces (RFC 6749 section 3.3)",
            );
        }
        if let Some(audience) = &delegation.audience {
            check_audience(audience, &format!("{path}.audience"), problems);
        }
        if let Some(lifetime) = delegation.lifetime {
            check_lifetime(lifetime, &format!("{path}.lifetime"), problems);
        }
        Rc::new(Target {
            scope: delegation.scope.as_str().into(),
            audience: delegation.audience.as_deref().unwrap_or(self.audience).into(),
            max_lifetime: delegation.lifetime.unwrap_or(self.lifetime).as_seconds(),
        })
    }
}

fn check_audience(audience: &str, path: &str, problems: &mut Problems) {
    if audience.is_empty() || audience.chars().any(|c| c.is_control() || c.is_whitespace()) {
        problems.add(path, format!("`{audience}` is not an audience"));
    }
}

fn check_lifetime(lifetime: Duration, path: &str, problems: &mut Problems) {
    if lifetime != Duration::seconds(u32::try_from(lifetime.as_seconds()).unwrap_or(0))
        || lifetime.as_seconds() == 0
    {
        problems.add_with_help(
            path,
            format!("`{lifetime}` is not a token lifetime"),
            "tokens count whole seconds, so write at least `1s`",
        );
    }
}
