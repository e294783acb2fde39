//! From a policy as written to look-up tables; every error at once.

mod requirements;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use super::patterns::Patterns;
use super::resources::Resources;
use super::rule::{Binding, Requirement, Rule, Test};
use super::source::{
    self, Baseline, Delegation, Policy as Source, Rule as RuleSource, Rules as RulesSource,
};
use super::{DenialShape, Enforcement, Policy, Rules};
use crate::config::{Duration, Problems};
use crate::exchange::Target;
use crate::fingerprint::fingerprint;
use crate::json::folded;
use crate::mcp::{Class, Method, is_name};
use crate::response::Redaction;
use crate::token::{ScopeSet, ScopeTable, is_scope_token};
use requirements::place;

/// What a policy is compiled against.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The policy's name.
    pub name: &'a str,
    /// The scopes that a caller can obtain.
    pub scopes: &'a ScopeTable,
    /// What the endpoint requires of every request.
    pub required: &'a ScopeSet,
    /// Whether rules are enforced whose policy does not say it.
    pub enforcement: Enforcement,
}

/// How many members a rule may redact.
const REDACTED_NAMES: usize = 100;

/// The longest message that a denial may carry, in bytes: it goes into every refused answer.
const MESSAGE_BYTES: usize = 1_000;

impl Policy {
    /// Compiles `source`; what is wrong with it goes to `problems`, under `policies.NAME`.
    pub fn compile(source: &Source, around: &Surroundings, problems: &mut Problems) -> Self {
        let path = format!("policies.{}", around.name);
        check_policy(source, &path, problems);
        let (claims, targets) = (BTreeSet::new(), HashSet::new());
        let mut compiler = Compiler { source, around, claims, targets, redaction: None, problems };
        let baseline = compiler.baseline(&source.baseline, &path);
        let declared = [&source.declares.tools, &source.declares.prompts];
        let [tools, prompts] =
            [("tools", &source.tools, declared[0]), ("prompts", &source.prompts, declared[1])]
                .map(|(kind, rules, declared)| compiler.named(kind, rules, declared.as_deref()));
        let mut resources = Resources::default();
        for (uri, source) in &source.resources {
            let path = format!("{path}.resources.{uri}");
            let rules = compiler.rules("resources", uri, source);
            if let Err(help) = resources.insert(uri, rules) {
                compiler.problems.add_with_help(path, format!("`{uri}` is not a resource"), help);
            }
        }
        let methods = compiler.methods(&source.methods);
        let server_requests = source.server_requests.clone();
        let claims = compiler.claims;
        let redaction = compiler.redaction;
        Self { baseline, tools, prompts, resources, methods, server_requests, claims, redaction }
    }
}

/// A policy on its way.
struct Compiler<'a> {
    source: &'a Source,
    around: &'a Surroundings<'a>,
    /// The names of the claims that the rules read.
    claims: BTreeSet<Box<str>>,
    /// What any rule redacts.
    redaction: Option<Rc<Redaction>>,
    /// What rules delegate alike is kept once, where it stays in the processor's cache.
    targets: HashSet<Rc<Target>>,
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn baseline(&mut self, source: &Baseline, path: &str) -> Rule {
        let around = self.around;
        let path = format!("{path}.baseline");
        let (binding, target) = match source {
            Baseline::WithoutToken => (None, None),
            Baseline::Delegation(delegation) => (
                self.binding(delegation, &path, "baseline"),
                Some(self.target(delegation, &format!("{path}.delegation"))),
            ),
        };
        Rule {
            name: format!("{}.baseline", around.name).into(),
            scopes: around.required.clone(),
            requirements: Vec::new(),
            message: None,
            scope_message: scope_message("this MCP server", around.required, around.scopes),
            shape: DenialShape::StepUp,
            enforcement: Enforcement::Enforce,
            binding,
            target,
            redaction: None,
            arguments: None,
        }
    }

    /// The rules by name, or by how names begin.
    fn named(
        &mut self,
        kind: &str,
        sources: &BTreeMap<String, RulesSource>,
        declared: Option<&[String]>,
    ) -> Patterns<Rules> {
        let mut patterns = Patterns::default();
        let one = kind.trim_end_matches('s');
        for (pattern, source) in sources {
            let path = format!("policies.{}.{kind}.{pattern}", self.around.name);
            let beginning = pattern.strip_suffix('*');
            // With something behind it, for a beginning may be empty.
            if !is_name(beginning.map_or(pattern.clone(), |text| format!("{text}x")).as_str()) {
                let help = "a name has 1 to 128 letters, digits, `_`, `-` and `.`; what ends with \
                            `*` stands for all that begin so";
                self.problems.add_with_help(
                    &path,
                    format!("`{pattern}` is not a {one} name"),
                    help,
                );
            } else if let Some(declared) = declared {
                let known = declared.iter().map(String::as_str);
                let others = |name: &str| sources.contains_key(name);
                match beginning {
                    None if !declared.contains(pattern) => {
                        let message = format!("unknown {one} `{pattern}`");
                        self.problems.add_unknown(&path, message, pattern, known);
                    }
                    Some(beginning) if !known.clone().any(|name| name.starts_with(beginning)) => {
                        let help = format!("no declared {one} begins like this");
                        self.problems.add_with_help(&path, "can never be reached", help);
                    }
                    Some(beginning)
                        if known.clone().all(|name| {
                            !name.starts_with(beginning)
                                || others(name)
                                || is_taken_by_longer(name, beginning, sources)
                        }) =>
                    {
                        let help = format!("each declared {one} that begins so has other rules");
                        self.problems.add_with_help(&path, "can never be reached", help);
                    }
                    _ => {}
                }
            }
            patterns.insert(pattern, self.rules(kind, pattern, source));
        }
        patterns
    }

    fn methods(
        &mut self,
        sources: &BTreeMap<String, RulesSource>,
    ) -> BTreeMap<&'static str, Rules> {
        let has_rule = |method: &Method| {
            let never =
                [Method::Initialize, Method::Ping, Method::ServerDiscover, Method::TasksList];
            method.class() == Class::Baseline
                && !method.is_notification()
                && !never.contains(method)
        };
        let mut methods = BTreeMap::new();
        for (name, source) in sources {
            let rules = self.rules("methods", name, source);
            if let Some(method) = Method::from_name(name).filter(has_rule) {
                methods.insert(method.as_str(), rules);
                continue;
            }
            let known = Method::ALL.iter().filter(|method| has_rule(method));
            self.problems.add_unknown(
                format!("policies.{}.methods.{name}", self.around.name),
                format!("`{name}` is not a method that can have rules of its own"),
                name,
                known.map(|method| method.as_str()),
            );
        }
        methods
    }

    fn rules(&mut self, kind: &str, object: &str, source: &RulesSource) -> Rules {
        let path = format!("policies.{}.{kind}.{object}", self.around.name);
        let name = format!("{}.{kind}.{object}", self.around.name);
        if source.0.is_empty() {
            let help = "write at least one rule, or leave it out: what no rule allows is refused";
            self.problems.add_with_help(&path, "there is no rule here", help);
        }
        let several = source.0.len() > 1;
        let place = |index| if several { format!("[{index}]") } else { String::new() };
        let mut rules: Vec<Rule> = Vec::with_capacity(source.0.len());
        let mut are_as_written = true;
        for (index, source) in source.0.iter().enumerate() {
            let place = place(index);
            let (path, name) = (format!("{path}{place}"), format!("{name}{place}"));
            let before = self.problems.count();
            rules.push(self.rule(source, object, &path, name, kind));
            // Of a requirement that is wrong nothing is left: its rule holds where it was not meant to.
            let requirement = format!("{path}.require");
            let mut wrong = self.problems.after(before).iter();
            are_as_written &= !wrong.any(|problem| problem.path.starts_with(&requirement));
        }
        for (index, rule) in rules.iter().enumerate().filter(|_| are_as_written) {
            let mut before = rules.iter().take(index);
            if let Some(earlier) =
                before.find(|earlier| earlier.is_implied_by(rule, self.around.scopes))
            {
                let help = format!("`{}` holds whenever it does, and comes first", earlier.name);
                let path = format!("{path}{}", place(index));
                self.problems.add_with_help(path, "can never be reached", help);
            }
        }
        rules.into()
    }

    fn rule(
        &mut self,
        source: &RuleSource,
        pattern: &str,
        path: &str,
        name: String,
        kind: &str,
    ) -> Rule {
        // Who is denied did not ask for a pattern.
        let this = format!("this {}", kind.trim_end_matches('s'));
        let object = if pattern.ends_with('*') { &this } else { pattern };
        let around = self.around;
        let own = known_scopes(
            source.require.scopes.as_deref().unwrap_or_default(),
            around.scopes,
            &format!("{path}.require.scopes"),
            self.problems,
        );
        let scopes = around.required.union(&own);
        if let Some(message) = &source.message {
            check_message(message, path, self.problems);
        }
        let enforcement = source.enforcement.or(self.source.enforcement);
        let takes_arguments = matches!(kind, "tools" | "prompts");
        let mut requirements = self.requirements(&source.require, object, path, takes_arguments);
        let binding = self.binding(&source.delegation, path, kind);
        requirements.extend(binding.iter().filter(|one| !one.arguments.is_empty()).map(
            |binding| {
                let why = format!("servers read the arguments of {object} in several ways");
                Requirement {
                    test: Test::ClearArguments(binding.arguments.clone()),
                    message: format!("Access denied: {why}.").into(),
                }
            },
        ));
        Rule {
            name: name.into(),
            arguments: fingerprint_of_arguments(&requirements),
            requirements,
            message: source.message.as_deref().map(Into::into),
            scope_message: scope_message(object, &scopes, around.scopes),
            scopes,
            shape: source.denial,
            enforcement: enforcement.unwrap_or(around.enforcement),
            target: Some(self.target(&source.delegation, &format!("{path}.delegation"))),
            binding,
            redaction: self.redaction(source.redact.as_deref(), path, kind),
        }
    }

    fn redaction(
        &mut self,
        source: Option<&[String]>,
        path: &str,
        kind: &str,
    ) -> Option<Rc<Redaction>> {
        let names = source?;
        let path = format!("{path}.redact");
        if kind == "methods" {
            let help = "redact in the rules of tools, prompts and resources";
            self.problems.add_with_help(&path, "a method has nothing to redact", help);
        } else if names.is_empty() {
            let help = "name at least one member, or leave it out";
            self.problems.add_with_help(&path, "redacts nothing", help);
        } else if names.len() > REDACTED_NAMES {
            let message = format!("a rule redacts at most {REDACTED_NAMES} members");
            self.problems.add(&path, message);
        }
        let mut seen = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if name.is_empty() || name.starts_with('/') || name.chars().any(char::is_control) {
                let help = "write the member's name alone: it is redacted at any depth";
                let message = format!("`{name}` is not a member's name");
                self.problems.add_with_help(path, message, help);
            } else if !seen.insert(folded(name.as_str().into())) {
                self.problems.add(path, format!("`{name}` is listed twice, case aside"));
            }
        }
        let redaction = Rc::new(Redaction::of(names.iter().map(String::as_str)));
        self.redaction = Redaction::of_both(self.redaction.take(), Some(Rc::clone(&redaction)));
        Some(redaction)
    }

    fn binding(&mut self, source: &Delegation, path: &str, kind: &str) -> Option<Binding> {
        let details = source.authorization_details.as_ref()?;
        let path = format!("{path}.delegation.authorization_details");
        if kind != "tools" {
            let help = "only a call of a tool can be bound to";
            self.problems.add_with_help(&path, "not possible here", help);
        }
        if details.r#type.is_empty() {
            let help = "name a type that the authorization server knows";
            self.problems.add_with_help(format!("{path}.type"), "it is empty", help);
        }
        let mut seen = BTreeSet::new();
        let arguments = details.arguments.iter().enumerate().filter_map(|(index, text)| {
            place(text, &format!("{path}.arguments[{index}]"), &mut seen, self.problems)
        });
        Some(Binding { kind: details.r#type.as_str().into(), arguments: arguments.collect() })
    }

    fn target(&mut self, source: &Delegation, path: &str) -> Rc<Target> {
        if !is_scope_token(&source.scope) {
            self.problems.add_with_help(
                format!("{path}.scope"),
                format!("`{}` is not a scope", source.scope),
                "a delegation has exactly one scope, without spaces (RFC 6749 section 3.3)",
            );
        }
        if let Some(audience) = &source.audience {
            check_audience(audience, &format!("{path}.audience"), self.problems);
        }
        if let Some(lifetime) = source.lifetime {
            check_lifetime(lifetime, &format!("{path}.lifetime"), self.problems);
        }
        let audience = source.audience.as_ref().or(self.source.audience.as_ref());
        if audience.is_none() {
            let help = "write `audience` here, or for all at the head of the policy";
            self.problems.add_with_help(path, "no audience is known for this delegation", help);
        }
        let target = Target {
            scope: source.scope.as_str().into(),
            audience: audience.map(String::as_str).unwrap_or_default().into(),
            max_lifetime: source.lifetime.unwrap_or(self.source.lifetime).as_seconds(),
            cache: source.cache && source.authorization_details.is_none(),
            authorization_details: None,
        };
        if let Some(known) = self.targets.get(&target) {
            return Rc::clone(known);
        }
        let target = Rc::new(target);
        self.targets.insert(Rc::clone(&target));
        target
    }
}

/// The [fingerprint](Rule::arguments) of what is asked of arguments: of the words that say so, which say
/// it one way only.
fn fingerprint_of_arguments(requirements: &[Requirement]) -> Option<Rc<str>> {
    let of_arguments = requirements.iter().filter(|one| one.test.limits_arguments());
    let words: Vec<&str> = of_arguments.map(|one| &*one.message).collect();
    (!words.is_empty()).then(|| fingerprint(words.join("\n").as_bytes()).into())
}

/// Whether a pattern that is longer than `beginning` matches `name`.
fn is_taken_by_longer(
    name: &str,
    beginning: &str,
    sources: &BTreeMap<String, RulesSource>,
) -> bool {
    let longer = sources.keys().filter_map(|pattern| pattern.strip_suffix('*'));
    longer.filter(|other| other.len() > beginning.len()).any(|other| name.starts_with(other))
}

fn check_policy(source: &Source, path: &str, problems: &mut Problems) {
    if let Some(audience) = &source.audience {
        check_audience(audience, &format!("{path}.audience"), problems);
    }
    check_lifetime(source.lifetime, &format!("{path}.lifetime"), problems);
    let source::Declares { tools, prompts } = &source.declares;
    for (kind, names) in [("tools", tools), ("prompts", prompts)] {
        let mut seen = BTreeSet::new();
        for (index, name) in names.iter().flatten().enumerate() {
            let path = format!("{path}.declares.{kind}[{index}]");
            if !is_name(name) {
                let one = kind.trim_end_matches('s');
                let help = "a name has 1 to 128 letters, digits, `_`, `-` and `.`";
                problems.add_with_help(path, format!("`{name}` is not a {one} name"), help);
            } else if !seen.insert(name) {
                problems.add(path, format!("`{name}` is listed twice"));
            }
        }
    }
}

fn check_message(message: &str, path: &str, problems: &mut Problems) {
    if message.is_empty() || message.len() > MESSAGE_BYTES || message.chars().any(char::is_control)
    {
        problems.add_with_help(
            format!("{path}.message"),
            "the message is empty, too long or has control characters",
            format!("write one plain sentence of at most {MESSAGE_BYTES} bytes"),
        );
    }
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

fn scope_message(what: &str, required: &ScopeSet, scopes: &ScopeTable) -> Rc<str> {
    format!("Access denied: {what} requires the scope {}.", scopes.names(required).join(" ")).into()
}

/// Checks that it can be the audience of a token.
pub(crate) fn check_audience(audience: &str, path: &str, problems: &mut Problems) {
    if audience.is_empty() || audience.chars().any(|c| c.is_control() || c.is_whitespace()) {
        problems.add(path, format!("`{audience}` is not an audience"));
    }
}

fn check_lifetime(lifetime: Duration, path: &str, problems: &mut Problems) {
    if !lifetime.is_whole_seconds() || lifetime.as_seconds() == 0 {
        problems.add_with_help(
            path,
            format!("`{lifetime}` is not a token lifetime"),
            "tokens count whole seconds, so write at least `1s`",
        );
    }
}
