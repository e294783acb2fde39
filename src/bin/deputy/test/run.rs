//! Decision cases, judged.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use mcp_deputy::mcp::{List as Shown, Object};
use mcp_deputy::policy::rule::{Asked, Outcome as Lack, tried};
use mcp_deputy::policy::source::Policy;
use mcp_deputy::token::Caller;
use serde_json::{Map, Value, json};

use super::{Coverage, Results};
use crate::call::{Call, Judgement};
use crate::cases::{Cases, Given, List, Names};
use crate::judge::Judge;
use crate::moment::Moment;

/// What became of a case for one caller, one call and one endpoint.
pub struct Outcome {
    /// The file.
    pub file: PathBuf,
    /// Where it stands there.
    pub path: String,
    /// The call.
    pub given: String,
    /// What came otherwise than expected; nothing if the case passes.
    pub differences: Vec<Difference>,
}

/// What came otherwise than expected.
pub struct Difference {
    /// What of it.
    pub what: String,
    /// What was expected.
    pub expected: Value,
    /// What came.
    pub came: Value,
}

impl Outcome {
    /// For programs.
    pub fn json(&self) -> Value {
        let difference = |one: &Difference| json!({"what": one.what, "expected": one.expected, "came": one.came});
        let differences: Vec<Value> = self.differences.iter().map(difference).collect();
        json!({
            "file": self.file,
            "case": self.path,
            "given": self.given,
            "passed": differences.is_empty(),
            "differences": differences,
        })
    }
}

/// Runs cases, which were checked, before the judges of their policy.
pub fn run(
    cases: &Cases,
    calls: &[Vec<Call>],
    judges: &[Judge],
    policy: &Policy,
    file: &Path,
    results: &mut Results,
) {
    let Results { outcomes, coverage } = results;
    let several = judges.len() > 1;
    let mut each = |path: String, who: Who, what: &dyn fmt::Display, compare: &mut Compare| {
        let at = who.at.or(cases.at).unwrap_or_else(Moment::current);
        for judge in judges.iter().filter(|judge| judge.is_at(who.endpoint)) {
            let place = judge.endpoint().filter(|_| several);
            let place = place.map_or_else(String::new, |at| format!(" at {}", at.path));
            for name in &who.callers.0 {
                let caller = cases.callers.get(name).ok_or("is not described".to_owned());
                let caller = caller.and_then(|caller| {
                    let verified = caller.verified(name, judge.config, at);
                    verified.map_err(|reason| reason.to_string())
                });
                let differences = match caller {
                    Ok(caller) => compare(judge, &caller, at),
                    Err(reason) => vec![Difference::new("caller", Value::Null, reason.into())],
                };
                let (file, path) = (file.to_owned(), path.clone());
                outcomes.push(Outcome {
                    file,
                    path,
                    given: format!("{name}, {what}{place}"),
                    differences,
                });
            }
        }
    };
    for (index, (case, calls)) in cases.cases.iter().zip(calls).enumerate() {
        let Given { caller, endpoint, at, .. } = &case.given;
        for call in calls {
            let who = Who { callers: caller, endpoint: endpoint.as_deref(), at: *at };
            each(format!("cases[{index}]"), who, call, &mut |judge, caller, at| {
                let judgement = call.judge(judge, caller, at);
                coverage.note(judge, caller, &judgement, at);
                compare(&case.expect.verdict(judge.name), &judge.verdict(&judgement))
            });
        }
    }
    for (index, list) in cases.lists.iter().enumerate() {
        let List { caller, endpoint, at, .. } = list;
        let who = Who { callers: caller, endpoint: endpoint.as_deref(), at: *at };
        each(format!("lists[{index}]"), who, &"lists", &mut |judge, caller, at| {
            compare_lists(list, cases, policy, judge, caller, at)
        });
    }
}

/// Who asks, where and when.
struct Who<'a> {
    callers: &'a Names,
    endpoint: Option<&'a str>,
    at: Option<Moment>,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, came } = self;
        let [expected, came] = [expected, came].map(|value| match value {
            Value::Null => "nothing".to_owned(),
            value => value.to_string(),
        });
        write!(out, "{what}: expected {expected}, came {came}")
    }
}

type Compare<'a> = dyn FnMut(&Judge, &Caller, Moment) -> Vec<Difference> + 'a;

impl Difference {
    fn new(what: impl Into<String>, expected: Value, came: Value) -> Self {
        Self { what: what.into(), expected, came }
    }
}

impl Coverage {
    fn note(&mut self, judge: &Judge, caller: &Caller, judgement: &Judgement, at: Moment) {
        let Some(operation) = &judgement.operation else { return };
        let asked = Asked::new(caller, operation, at.now());
        let rules = judge.policy().rules_for(operation).unwrap_or_default();
        for (rule, lack) in tried(rules, asked) {
            self.tried(rule, lack == Lack::Holds);
        }
    }
}

fn compare(expected: &Value, came: &Value) -> Vec<Difference> {
    let (Some((expected, wanted)), Some((decision, found))) = (only(expected), only(came)) else {
        return vec![Difference::new("verdict", expected.clone(), came.clone())];
    };
    if expected != decision {
        let came = match ["message", "rule", "reason"]
            .iter()
            .find_map(|name| found.get(*name)?.as_str())
        {
            Some(why) => format!("{decision}: {why}"),
            None => decision.clone(),
        };
        return vec![Difference::new("decision", expected.as_str().into(), came.into())];
    }
    let mut differences = Vec::new();
    compare_members("", wanted, found, &mut differences);
    // A rule in shadow allows what it would deny: who expects that says so.
    if let (None, Some(denied)) = (wanted.get("would_deny"), found.get("would_deny")) {
        differences.push(Difference::new("would_deny", Value::Null, denied.clone()));
    }
    // A name that is misspelt is refused too: who means that says so.
    let is_said = ["reason", "message"].iter().any(|name| wanted.contains_key(*name));
    if !is_said && found.get("reason").is_some_and(|reason| reason == "no_rule") {
        differences.push(Difference::new("reason", "that of a rule".into(), "no_rule".into()));
    }
    differences
}

/// The one member of a verdict: the decision and its particulars.
fn only(verdict: &Value) -> Option<(&String, &Map<String, Value>)> {
    let (decision, particulars) = verdict.as_object()?.iter().next()?;
    Some((decision, particulars.as_object()?))
}

fn compare_members(
    path: &str,
    expected: &Map<String, Value>,
    came: &Map<String, Value>,
    differences: &mut Vec<Difference>,
) {
    for (name, wanted) in expected {
        let (what, found) = (format!("{path}{name}"), came.get(name));
        match (wanted, found) {
            (Value::Object(wanted), Some(Value::Object(found))) => {
                compare_members(&format!("{what}."), wanted, found, differences);
            }
            (wanted, found) if Some(wanted) != found => {
                let came = found.cloned().unwrap_or_default();
                differences.push(Difference::new(what, wanted.clone(), came));
            }
            _ => {}
        }
    }
}

fn compare_lists(
    list: &List,
    cases: &Cases,
    policy: &Policy,
    judge: &Judge,
    caller: &Caller,
    at: Moment,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    for shown in [Shown::Tools, Shown::Prompts, Shown::Resources] {
        let kind = shown.member();
        let Some(expected) = list.of(kind) else { continue };
        let shows = |name: &str| {
            let object: Object = shown.object(name.into());
            judge.policy().shows(caller, &object, at.now())
        };
        let known = cases.known(kind, policy);
        let came: BTreeSet<&str> = known.into_iter().filter(|name| shows(name)).collect();
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        if came != expected {
            differences.push(Difference::new(kind, json!(expected), json!(came)));
        }
    }
    differences
}
