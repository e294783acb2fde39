//! The filter and the naive reading decide alike, on policies and calls that nobody thought of.

use std::env;
use std::rc::Rc;
use std::time::Duration;

use mcp_deputy::clock::Now;
use mcp_deputy::config::{Config, ConfigErrors};
use mcp_deputy::mcp::{self, Body, Method, Object, Operation, Revision};
use mcp_deputy::policy::{Denial, Permit, Remedy};
use mcp_deputy::token::{Caller, Callers, PureRust, ScopeSet};
use serde_json::{Value, json};

use crate::generator::{self, Random, Setting};
use crate::reference::{self, Decision, Message, Reference};
use crate::stage;

/// `DEPUTY_TRIPLES` asks for another number, `DEPUTY_SEED` for another beginning.
const TRIPLES: u64 = 10_000;
const CALLERS_PER_POLICY: u64 = 4;
/// Enough to see what they have in common.
const SHOWN: usize = 5;

#[derive(Default)]
struct Tally {
    triples: u64,
    policies: u64,
    policies_refused: u64,
    refused: u64,
    allowed: u64,
    in_shadow: u64,
    denied: u64,
    could_be_helped: u64,
    listed: u64,
}

#[test]
fn the_filter_decides_as_the_page_says() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let triples = number("DEPUTY_TRIPLES").unwrap_or(TRIPLES);
    let mut seed = number("DEPUTY_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    let mut disagreements = Vec::new();
    let without_rules = without_rules();
    while tally.triples < triples && disagreements.len() < SHOWN {
        disagreements.extend(differ(seed, &without_rules, &mut tally));
        seed += 1;
    }
    let Tally { triples, policies, policies_refused, refused, .. } = tally;
    let Tally { allowed, in_shadow, denied, could_be_helped, listed, .. } = tally;
    println!(
        "{triples} triples of {policies} policies ({policies_refused} others did not compile, \
         {refused} calls were not fit to be judged): {allowed} allowed, {in_shadow} of them in \
         shadow; {denied} denied, {could_be_helped} of them with a remedy; {listed} listed"
    );
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n\n"));
    assert!(policies > policies_refused, "most policies must compile");
    assert!(refused * 10 < triples, "most calls must be fit to be judged");
    // None of the answers is so rare that nobody would miss it.
    for rare in [allowed, in_shadow, denied, could_be_helped, listed, triples - listed] {
        assert!(rare * 50 > triples, "some answer is too rare");
    }
}

/// The disagreements on the policy of a seed.
fn differ(seed: u64, without_rules: &Config, tally: &mut Tally) -> Vec<String> {
    let mut random = Random::new(seed);
    let setting = Setting::new(&mut random);
    let naive = Reference {
        name: "it",
        policy: &setting.policy,
        scopes_supported: &setting.scopes_supported,
        required_scopes: &setting.required_scopes,
        implied_scopes: &setting.implied_scopes,
        enforcement: setting.enforcement,
    };
    let config = match Config::from_value(configuration(&setting, &setting.policy)) {
        Ok(config) => config,
        Err(errors) => {
            tally.policies_refused += 1;
            return wrongly_refused(seed, &mut random, &setting, &naive, &errors);
        }
    };
    tally.policies += 1;
    let mut disagreements = Vec::new();
    for _ in 0..CALLERS_PER_POLICY {
        let calls = generator::Calls::new(&mut random, &setting);
        let Some(real) = Real::new(&config, without_rules, &calls) else {
            tally.refused += 1;
            continue;
        };
        for (message, revision) in &calls.messages {
            let Some(operation) = real.operation(message, *revision) else {
                tally.refused += 1;
                continue;
            };
            let call = reference::Call { claims: &calls.claims, message, now: calls.now };
            let differences = compare(&naive, &call, &real, &operation, tally);
            disagreements.extend(differences.into_iter().map(|difference| {
                format!(
                    "seed {seed}, at {:?}\npolicy: {}\nrequired: {:?}, implied: {}, enforcement: {}\n\
                     caller: {}\nmessage: {message}\n{difference}",
                    calls.now,
                    setting.policy,
                    setting.required_scopes,
                    setting.implied_scopes,
                    setting.enforcement,
                    calls.claims,
                )
            }));
        }
    }
    disagreements
}

/// Calls that are allowed by a rule of which the filter says that it never is.
fn wrongly_refused(
    seed: u64,
    random: &mut Random,
    setting: &Setting,
    naive: &Reference,
    errors: &ConfigErrors,
) -> Vec<String> {
    let never = |rule: &str| {
        let (rule, inside) = (format!("policies.{rule}"), format!("policies.{rule}.require."));
        errors.0.iter().find(|error| {
            // For an empty list, and without the member, these may hold.
            let in_part = error.path.contains(".each") || error.path.contains(".members.");
            error.message == "can never be reached" && error.path == rule
                || error.message == "can never hold" && error.path.starts_with(&inside) && !in_part
        })
    };
    let mut wrong = Vec::new();
    if errors.0.iter().any(|error| !error.message.starts_with("can never")) {
        return wrong;
    }
    for _ in 0..CALLERS_PER_POLICY {
        let calls = generator::Calls::new(random, setting);
        for (message, _) in &calls.messages {
            let call = reference::Call { claims: &calls.claims, message, now: calls.now };
            if let Decision::Allowed { rule, would_deny: None, .. } = naive.decide(&call)
                && let Some(error) = never(&rule)
            {
                let (policy, claims) = (&setting.policy, &calls.claims);
                wrong.push(format!(
                    "seed {seed}\npolicy: {policy}\ncaller: {claims}\nmessage: {message}\n\
                     the page: allowed\nthe filter: {error}"
                ));
            }
        }
    }
    wrong
}

/// Where the two answers are not the same.
fn compare(
    naive: &Reference,
    call: &reference::Call,
    real: &Real,
    operation: &Operation,
    tally: &mut Tally,
) -> Vec<String> {
    let mut differences = Vec::new();
    let expected = naive.decide(call);
    let found = real.decide(operation, &expected);
    tally.count(&expected);
    if expected != found {
        differences.push(format!("the page: {expected:?}\nthe filter: {found:?}"));
    }
    if let Some((kind, name)) = listed_object(operation) {
        let expected = naive.lists(kind, name, call);
        let found = real.lists(operation.object.as_ref().unwrap());
        tally.listed += u64::from(expected);
        if expected != found {
            differences.push(format!(
                "listed among the {kind}\nthe page: {expected}\nthe filter: {found}"
            ));
        }
    }
    differences
}

impl Tally {
    fn count(&mut self, decision: &Decision) {
        self.triples += 1;
        match decision {
            Decision::Allowed { would_deny, .. } => {
                self.allowed += 1;
                self.in_shadow += u64::from(would_deny.is_some());
            }
            Decision::Denied(denied) => {
                use reference::Remedy::{SignIn, StepUp};
                self.denied += 1;
                self.could_be_helped +=
                    u64::from(matches!(denied.remedy, StepUp(_) | SignIn { .. }));
            }
        }
    }
}

fn configuration(setting: &Setting, policy: &Value) -> Value {
    let mut configuration = stage::configuration();
    configuration["protected_resource"]["scopes_supported"] = json!(setting.scopes_supported);
    configuration["endpoints"] =
        json!([{"path": "/mcp", "policy": "it", "required_scopes": setting.required_scopes}]);
    configuration["policies"] = json!({"it": policy});
    configuration["implied_scopes"] = setting.implied_scopes.clone();
    configuration["enforcement"] = json!(setting.enforcement);
    configuration
}

/// What is answered where no rule names anything.
fn without_rules() -> Config {
    let setting = Setting::new(&mut Random::new(1));
    let policy = json!({"baseline": "without_token"});
    Config::from_value(configuration(&setting, &policy)).unwrap()
}

/// The filter, asked from the token and the body on.
struct Real<'a> {
    config: &'a Config,
    without_rules: &'a Config,
    caller: std::rc::Rc<Caller>,
    now: Now,
}

impl<'a> Real<'a> {
    fn new(
        config: &'a Config,
        without_rules: &'a Config,
        calls: &generator::Calls,
    ) -> Option<Self> {
        let now = Now { unix: calls.now, monotonic: Duration::from_secs(50) };
        let token = stage::sign(&calls.claims);
        let mut verified = Callers::new(config.limits.tokens(), Rc::new(PureRust));
        let caller = verified.verify(&token, &config.issuers, &config.scopes, now);
        Some(Self { config, without_rules, caller: caller.ok()?, now })
    }

    fn operation(&self, message: &Value, revision: Revision) -> Option<Operation> {
        let body = message.to_string();
        let policy = &self.config.endpoints[0].policy;
        let wanted = |operation: &Operation| policy.reads_arguments(operation);
        match mcp::read(body.as_bytes(), revision, wanted).ok()? {
            Body::One(operation) => Some(operation),
            Body::Batch(_) => None,
        }
    }

    /// In the words of the page. Where it does not give the message's, they are taken as expected.
    fn decide(&self, operation: &Operation, expected: &Decision) -> Decision {
        match self.config.endpoints[0].policy.decide(&self.caller, operation, self.now) {
            Ok(permit) => allowed(&permit),
            Err(denial) => {
                let by_default = matches!(
                    expected,
                    Decision::Denied(denied) if denied.message == Message::ByDefault
                );
                let message = if by_default {
                    Message::ByDefault
                } else if self.is_as_if_no_rule_named_it(operation, &denial) {
                    Message::AsIfNoRuleNamedIt
                } else {
                    Message::OfTheRule(denial.message.to_string())
                };
                Decision::Denied(reference::Denied {
                    rule: denial.rule.as_deref().map(str::to_owned),
                    message,
                    remedy: self.remedy(denial.remedy),
                })
            }
        }
    }

    fn is_as_if_no_rule_named_it(&self, operation: &Operation, denial: &Denial) -> bool {
        let policy = &self.without_rules.endpoints[0].policy;
        let objects: Vec<Object> = match &operation.object {
            // Without a rule of its own, a method is the baseline's.
            None => {
                let method = operation.method.as_str();
                return *denial.message == *format!("Access denied: no rule allows {method}.");
            }
            Some(Object::Subscription { resources, .. }) => {
                resources.iter().cloned().map(Object::Resource).collect()
            }
            Some(object) => vec![object.clone()],
        };
        objects.into_iter().any(|object| {
            let method = if matches!(object, Object::Resource(_)) {
                Method::ResourcesRead
            } else {
                operation.method
            };
            let operation = Operation { object: Some(object), method, ..operation.clone() };
            let unnamed = policy.decide(&self.caller, &operation, self.now).unwrap_err();
            unnamed.message == denial.message && unnamed.remedy == denial.remedy
        })
    }

    fn remedy(&self, remedy: Remedy) -> reference::Remedy {
        let names = |scopes: &ScopeSet| {
            let names = self.config.scopes.names(scopes).into_iter();
            names.map(str::to_owned).collect()
        };
        match remedy {
            Remedy::StepUp(scopes) => reference::Remedy::StepUp(names(&scopes)),
            Remedy::Authenticate(how, scopes) => reference::Remedy::SignIn {
                acr_values: how.acr_values.iter().map(|class| (**class).to_owned()).collect(),
                max_age: how.max_age,
                scopes: names(&scopes),
            },
            Remedy::Nothing => reference::Remedy::Nothing,
            Remedy::NothingByStatus => reference::Remedy::NothingByStatus,
        }
    }

    fn lists(&self, object: &Object) -> bool {
        self.config.endpoints[0].policy.shows(&self.caller, object, self.now)
    }
}

fn allowed(permit: &Permit) -> Decision {
    let delegation = permit.target().map(|target| reference::Delegation {
        scope: target.scope.to_string(),
        audience: target.audience.to_string(),
        lifetime: target.max_lifetime,
        cache: target.cache,
    });
    let would_deny = permit.would_deny().map(|denial| denial.rule.as_deref().unwrap().to_owned());
    Decision::Allowed { rule: permit.rule().to_string(), delegation, would_deny }
}

fn listed_object(operation: &Operation) -> Option<(&'static str, &str)> {
    match operation.object.as_ref()? {
        Object::Tool(name) => Some(("tools", name)),
        Object::Prompt(name) => Some(("prompts", name)),
        Object::Resource(uri) => Some(("resources", uri)),
        Object::ResourceTemplate(template) => Some(("resource templates", template)),
        Object::Task(_) | Object::Subscription { .. } => None,
    }
}
