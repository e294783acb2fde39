//! Why a call is allowed or denied.

use std::fmt::Write;

use mcp_deputy::answer::{LocalReply, Refusal};
use mcp_deputy::config::did_you_mean;
use mcp_deputy::policy::rule::{self, Asked, Outcome, Rule};
use mcp_deputy::policy::source::Policy as PolicySource;
use mcp_deputy::policy::{Denial, DenialShape, Enforcement, Permit};
use mcp_deputy::token::Caller;
use serde_json::{Map, Value, json};

use super::requirement::{Requirement, names};
use crate::call::{Call, Judgement, What};
use crate::judge::Judge;
use crate::moment::Moment;
use crate::report::{BAD, GOOD, HELP, ODD};
use crate::source::Source;

/// Why a call is allowed or denied.
pub struct Explanation<'a> {
    judge: &'a Judge<'a>,
    call: &'a Call,
    caller: &'a Caller,
    at: Moment,
    judgement: Judgement,
    tried: Vec<Tried>,
    helps: Vec<String>,
    answer: Option<LocalReply>,
}

/// A rule that was tried.
struct Tried {
    name: String,
    enforcement: Enforcement,
    holds: bool,
    requirements: Vec<Requirement>,
}

impl<'a> Explanation<'a> {
    /// Judges a call.
    pub fn new(
        judge: &'a Judge<'a>,
        source: &Source,
        call: &'a Call,
        caller: &'a Caller,
        at: Moment,
    ) -> Self {
        let judgement = call.judge(judge, caller, at);
        let (mut tried, mut helps) = (Vec::new(), Vec::new());
        if let Some(operation) = &judgement.operation {
            let asked = Asked::new(caller, operation, at.now());
            let rules = judge.policy().rules_for(operation).unwrap_or_default();
            for (rule, lack) in rule::tried(rules, asked) {
                let one = Tried::new(rule, &lack, asked, at, judge);
                helps.extend(one.help(rule, lack, asked, judge));
                tried.push(one);
            }
        }
        if denial(&judgement).is_none() {
            helps.clear();
        } else if tried.is_empty() {
            let can_be_named = judgement.operation.is_some();
            helps.push(no_rule(call, can_be_named, judge, source));
        } else if helps.is_empty() {
            helps.push("nothing that this caller could obtain".to_owned());
        }
        let refusal = judgement.result.as_ref().err();
        let answer = refusal.map(|refusal| judge.answer(refusal, judgement.id.as_ref()));
        Self { judge, call, caller, at, judgement, tried, helps, answer }
    }

    /// Whether it goes upstream.
    pub fn is_allowed(&self) -> bool {
        self.judgement.result.is_ok()
    }

    /// For programs. `unverified` says that the caller's token was not verified.
    pub fn json(&self, unverified: bool) -> Value {
        let (decision, mut object) = match self.judge.verdict(&self.judgement) {
            Value::Object(verdict) => verdict.into_iter().next().unwrap_or_default(),
            _ => <(String, Value)>::default(),
        };
        if let Value::Object(members) = &mut object {
            members.extend(self.members(decision, unverified));
        }
        object
    }

    fn members(&self, decision: String, unverified: bool) -> Map<String, Value> {
        let Self { judge, call, caller, at, tried, helps, .. } = self;
        let mut members = Map::new();
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("decision", decision.into());
        set("policy", judge.name.into());
        set("endpoint", json!(judge.endpoint().map(|endpoint| &endpoint.path)));
        set("call", json!({call.what.kind(): call.what.name(), "arguments": call.arguments}));
        set("at", at.to_string().into());
        set(
            "caller",
            json!({
                "issuer": caller.claims.issuer,
                "subject": caller.claims.subject,
                "client": caller.claims.client,
                "scopes": caller.claims.scopes,
                "unverified": unverified,
            }),
        );
        set("tried", tried.iter().map(Tried::json).collect());
        set("helps", json!(helps));
        if let Some(answer) = &self.answer {
            let headers: Map<String, Value> = answer
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            set("answer", json!({"status": answer.status, "headers": headers, "body": body}));
        }
        if let Ok(permit) = &self.judgement.result {
            let delegation = permit.target().map(|target| {
                json!({
                    "scope": target.scope,
                    "audience": target.audience,
                    "lifetime_s": target.max_lifetime,
                    "cache": target.cache,
                })
            });
            set("delegation", json!(delegation));
        }
        members
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = self.verdict_text();
        if !self.tried.is_empty() {
            out.push_str("\nThe rules that were tried, in order:\n");
            self.tried.iter().for_each(|tried| out.push_str(&tried.text()));
        }
        if !self.helps.is_empty() {
            out.push_str("\nWhat would help:\n");
            for help in &self.helps {
                let _ = writeln!(out, "  {help}");
            }
        }
        if let Some(answer) = &self.answer {
            let _ = writeln!(out, "\nWhat the client gets:\n  HTTP {}", answer.status);
            for (name, value) in &answer.headers {
                let _ = writeln!(out, "  {name}: {value}");
            }
            if !answer.body.is_empty() {
                let _ = writeln!(out, "\n  {}", String::from_utf8_lossy(&answer.body));
            }
        }
        if let Ok(permit) = &self.judgement.result {
            out.push_str(&delegation_text(permit));
        }
        out
    }

    fn verdict_text(&self) -> String {
        let place = match self.judge.endpoint() {
            Some(endpoint) => format!(" at {}", endpoint.path),
            None => format!(" by the policy {}, which no endpoint uses", self.judge.name),
        };
        let call = format!("{}, {}{place}", self.caller.claims.subject, self.call);
        match &self.judgement.result {
            Ok(permit) => {
                let verdict = match permit.would_deny() {
                    None => format!("{GOOD}allowed{GOOD:#}: {call}\n"),
                    Some(denial) => format!(
                        "{ODD}allowed in shadow{ODD:#}: {call}\n  enforced  it would be denied: {}\n",
                        denial.message
                    ),
                };
                format!("{verdict}  rule      {}\n", permit.rule())
            }
            Err(Refusal::Denied(denial)) => {
                let rule = denial.rule.as_deref().unwrap_or("none");
                let Denial { message, reason, .. } = denial;
                format!(
                    "{BAD}denied{BAD:#}: {call}\n  message   {message}\n  reason    {reason}\n  \
                     rule      {rule}\n"
                )
            }
            Err(refusal) => {
                format!("{BAD}refused{BAD:#}: {call}\n  reason    {}\n", refusal.reason())
            }
        }
    }
}

fn delegation_text(permit: &Permit) -> String {
    let head = "\nWhat goes upstream:\n";
    let Some(target) = permit.target() else { return format!("{head}  no token\n") };
    let cached = if target.cache { "may serve for later calls" } else { "for this call alone" };
    format!(
        "{head}  scope     {}\n  audience  {}\n  lifetime  {} seconds at most, {cached}\n",
        target.scope, target.audience, target.max_lifetime
    )
}

/// The denial, also where it is in shadow.
fn denial(judgement: &Judgement) -> Option<&Denial> {
    match &judgement.result {
        Ok(permit) => permit.would_deny(),
        Err(Refusal::Denied(denial)) => Some(denial),
        Err(_) => None,
    }
}

/// What would help where no rule names what is asked for.
fn no_rule(call: &Call, can_be_named: bool, judge: &Judge, source: &Source) -> String {
    let policy = source.typed.policies.get(judge.name);
    let (name, known) = match &call.what {
        What::Tool(name) => (name, policy.map(tools)),
        What::Prompt(name) => (name, policy.map(prompts)),
        What::Resource(uri) => (uri, policy.map(|policy| policy.resources.keys().collect())),
        What::Method(_) => return "nothing: no rule can allow this method".to_owned(),
    };
    let known = known.unwrap_or_default();
    match did_you_mean(name, known.into_iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if !can_be_named => "nothing: no rule can have this name".to_owned(),
        None => format!("a rule in the policy {}: what no rule names is refused", judge.name),
    }
}

fn tools(policy: &PolicySource) -> Vec<&String> {
    policy.tools.keys().chain(policy.declares.tools.iter().flatten()).collect()
}

fn prompts(policy: &PolicySource) -> Vec<&String> {
    policy.prompts.keys().chain(policy.declares.prompts.iter().flatten()).collect()
}

impl Tried {
    fn new(rule: &Rule, lack: &Outcome, asked: Asked, at: Moment, judge: &Judge) -> Self {
        Self {
            name: rule.name.to_string(),
            enforcement: rule.enforcement,
            holds: *lack == Outcome::Holds,
            requirements: Requirement::all(rule, asked, at, &judge.config.scopes),
        }
    }

    /// What would make it hold.
    fn help(&self, rule: &Rule, lack: Outcome, asked: Asked, judge: &Judge) -> Option<String> {
        let failing = self.requirements.iter().filter(|one| !one.holds);
        match lack {
            Outcome::Obtainable { scopes, authentication, .. } => {
                let scopes = scopes.map(|scopes| asked.caller.to_ask_for(&scopes));
                let scopes = scopes.map(|scopes| {
                    format!("ask for the scopes {}", names(&scopes, &judge.config.scopes))
                });
                let sign_in = authentication.map(|needed| format!("get {needed}"));
                let helps: Vec<String> = scopes.into_iter().chain(sign_in).collect();
                let untold =
                    if rule.shape == DenialShape::StepUp { "" } else { "; the client is not told" };
                Some(format!("{}{untold}", helps.join(", and ")))
            }
            Outcome::Excluded(_) if failing.clone().all(|one| one.is_obtainable) => {
                let wants: Vec<&str> = failing.map(|one| one.wants.as_str()).collect();
                Some(format!("that this holds: {}", wants.join(", and ")))
            }
            Outcome::Holds | Outcome::Excluded(_) => None,
        }
    }

    fn json(&self) -> Value {
        let requirements: Vec<Value> = self.requirements.iter().map(Requirement::json).collect();
        let enforcement =
            if self.enforcement == Enforcement::Shadow { "shadow" } else { "enforce" };
        json!({
            "rule": self.name,
            "holds": self.holds,
            "enforcement": enforcement,
            "requirements": requirements,
        })
    }

    fn text(&self) -> String {
        let shadow = if self.enforcement == Enforcement::Shadow { ", in shadow" } else { "" };
        let (style, holds) = if self.holds { (GOOD, "holds") } else { (BAD, "fails") };
        let mut out = format!("  {HELP}{}{HELP:#}{shadow}: {style}{holds}{style:#}\n", self.name);
        if self.requirements.is_empty() {
            out.push_str("    wants nothing\n");
        }
        for Requirement { wants, has, holds, .. } in &self.requirements {
            let (style, holds) = if *holds { (GOOD, "holds") } else { (BAD, "fails") };
            let _ = writeln!(out, "    {style}{holds}{style:#}  {wants}; has {has}");
        }
        out
    }
}
