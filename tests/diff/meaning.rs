//! The comparison against brute force: every set of six scopes, on generated pairs of policies.
//!
//! `DIFF_PAIRS=100000 DIFF_SEED=7 cargo test --release --test diff meaning` makes a long run.

use std::collections::BTreeMap;
use std::env;

use mcp_deputy::clock::Now;
use mcp_deputy::config::{Config, Problems};
use mcp_deputy::mcp::{Method, Object, Operation};
use mcp_deputy::policy::compile::Surroundings;
use mcp_deputy::policy::diff::{Change, Kind, compare};
use mcp_deputy::policy::rule::Asked;
use mcp_deputy::policy::{Denial, Enforcement, Permit, Policy};
use mcp_deputy::token::{Caller, ScopeTable, danger_unverified_claims};
use serde_json::{Map, Value, json};

use crate::generator::{Language, METHODS, RESOURCES, Random, SCOPES, Side, TOOLS, pair};
use crate::stage::{NOW, configuration, token};

fn now() -> Now {
    Now { unix: std::time::Duration::from_secs(NOW), ..Now::default() }
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The claims of one caller for every set of scopes, in each of the guises.
fn callers(guises: &[Value]) -> (Config, Vec<Map<String, Value>>) {
    let mut configuration = configuration();
    configuration["protected_resource"]["scopes_supported"] = json!(SCOPES);
    configuration["endpoints"] = json!([{"path": "/mcp", "policy": "open"}]);
    configuration["policies"] = json!({"open": {"baseline": "without_token"}});
    let config = Config::from_value(configuration).unwrap();
    let mut callers = Vec::new();
    for guise in guises {
        for bits in 0..1_u32 << SCOPES.len() {
            let held = (0..SCOPES.len()).filter(|bit| bits & (1 << bit) != 0);
            let mut claims = guise.clone();
            claims["scope"] = json!(held.map(|bit| SCOPES[bit]).collect::<Vec<_>>().join(" "));
            let claims = danger_unverified_claims(&token(claims)).unwrap();
            callers.push(claims);
        }
    }
    (config, callers)
}

/// The same scopes, some of which imply later ones, to the last.
fn with_implied(random: &mut Random, scopes: &ScopeTable) -> ScopeTable {
    let mut scopes = scopes.clone();
    for at in (0..SCOPES.len() - 1).rev() {
        if random.below(4) == 0 {
            let later = SCOPES.len() - 1 - at;
            let other = at + 1 + usize::try_from(random.below(later as u64)).unwrap();
            scopes.imply(SCOPES[at], scopes.with_implied(&scopes.set([SCOPES[other]])));
        }
    }
    scopes
}

fn compile(side: &Side, scopes: &ScopeTable) -> Policy {
    let source = serde_json::from_value(side.policy.clone()).unwrap();
    let required = scopes.set(side.required.iter().copied());
    let around = Surroundings {
        name: "p",
        scopes,
        required: &required,
        enforcement: Enforcement::default(),
    };
    // Rules that are never reached, and the like, are part of the game.
    Policy::compile(&source, &around, &mut Problems::default())
}

/// What can be asked, with the object under which a change of it is told: the exact name in either
/// policy, else the longest beginning.
fn questions(sides: &[Side; 2]) -> Vec<(String, Method, Option<Object>)> {
    let mut questions = Vec::new();
    let has =
        |kind: &str, name: &str| sides.iter().any(|side| side.policy[kind].get(name).is_some());
    let told = |kind: &str, patterns: &[&str], name: &str| {
        let exact = has(kind, name).then(|| name.to_owned());
        let beginnings = patterns.iter().filter_map(|pattern| pattern.strip_suffix('*'));
        let fitting =
            beginnings.filter(|start| name.starts_with(start) && has(kind, &format!("{start}*")));
        let longest = fitting.max_by_key(|start| start.len()).map(|start| format!("{start}*"));
        exact.or(longest).map_or("nothing".to_owned(), |pattern| format!("{kind}.{pattern}"))
    };
    for name in ["a", "ab", "abc", "abd", "ax", "b", "c"] {
        let object = Object::Tool(name.into());
        questions.push((told("tools", &TOOLS, name), Method::ToolsCall, Some(object)));
    }
    for uri in ["x://r/", "x://r/a/b", "x://r/a/c", "x://r/b", "x://q", "x://r/{name}"] {
        let object = Object::Resource(uri.into());
        questions.push((told("resources", &RESOURCES, uri), Method::ResourcesRead, Some(object)));
    }
    let template = "x://r/{name}";
    let object = Object::ResourceTemplate(template.into());
    questions.push((
        told("resources", &RESOURCES, template),
        Method::CompletionComplete,
        Some(object),
    ));
    for name in METHODS {
        let told =
            if has("methods", name) { format!("methods.{name}") } else { "baseline".to_owned() };
        questions.push((told, Method::from_name(name).unwrap(), None));
    }
    questions.push(("baseline".to_owned(), Method::Initialize, None));
    questions
}

/// What of one call is told.
fn says(changes: &[&Change], kind: Kind, beginning: &str, asked: Asked) -> bool {
    changes.iter().any(|change| {
        change.kind == kind
            && change.text.starts_with(beginning)
            && change.region.as_ref().is_some_and(|region| region.contains(asked))
    })
}

/// Compares what is told of one call with what the two policies decide.
fn judge(
    [before, after]: [&Result<Permit, Denial>; 2],
    changes: &[&Change],
    endpoint: &[&Change],
    asked: Asked,
) -> Result<(), String> {
    let opens = before.is_err() && after.is_ok();
    let closes = before.is_ok() && after.is_err();
    let (mut moves, mut would_close) = (false, false);
    if let (Ok(before), Ok(after)) = (before, after) {
        moves = before.target() != after.target();
        would_close = before.would_deny().is_none() && after.would_deny().is_some();
        if says(changes, Kind::Shadow, "would open", asked) && before.would_deny().is_none() {
            return Err("what would open is open".to_owned());
        }
    }
    // What is closed to the endpoint is told once, for all that is behind it.
    let told_closed = says(changes, Kind::Closes, "", asked)
        || before.is_ok() && says(endpoint, Kind::Closes, "", asked);
    let told = [
        says(changes, Kind::Opens, "", asked),
        told_closed,
        says(changes, Kind::Delegation, "", asked),
    ];
    let is = [opens, closes, moves];
    if told != is {
        return Err(format!("opens, closes, is delegated otherwise: {is:?}, told {told:?}"));
    }
    let told = says(changes, Kind::Shadow, "would close", asked);
    (would_close <= told).then_some(()).ok_or_else(|| "what would close is not told".to_owned())
}

fn run(language: Language, guises: &[Value], arguments: &[Map<String, Value>], pairs: u64) {
    let (config, callers) = callers(guises);
    let expected = &config.issuers[0].expectations;
    let seed = number("DIFF_SEED", 1);
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for index in 0..pairs {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index + 1));
        let sides = pair(&mut random, language);
        let before = with_implied(&mut random, &config.scopes);
        let after = if random.below(2) == 0 {
            before.clone()
        } else {
            with_implied(&mut random, &config.scopes)
        };
        let tables = [&before, &after];
        let [old, new] =
            [(&sides[0], &before), (&sides[1], &after)].map(|(side, table)| compile(side, table));
        let changes = compare(Some(&old), Some(&new), tables);
        let callers: Vec<[Caller; 2]> = callers
            .iter()
            .map(|claims| {
                tables.map(|table| {
                    Caller::danger_unverified(claims.clone(), expected, table).unwrap()
                })
            })
            .collect();
        let about = |object: &str| -> Vec<&Change> {
            changes.iter().filter(|change| change.object == object).collect()
        };
        let fail = |what: &str| {
            let texts: Vec<String> = changes
                .iter()
                .map(|change| format!("{}: {}", change.object, change.text))
                .collect();
            panic!("pair {index} of seed {seed}: {what}\n{sides:#?}\n{}", texts.join("\n"))
        };
        for (object, method, named) in questions(&sides) {
            let (told, endpoint) = (about(&object), about("baseline"));
            for arguments in arguments {
                let operation = Operation {
                    arguments: arguments.clone(),
                    ..Operation::new(None, method, named.clone())
                };
                for [caller, later] in &callers {
                    let asked =
                        Asked { arguments: Some(arguments), ..Asked::of_caller(caller, now()) };
                    let decided = [(&old, caller), (&new, later)]
                        .map(|(policy, caller)| policy.decide(caller, &operation, now()));
                    let result = judge([&decided[0], &decided[1]], &told, &endpoint, asked);
                    if let Err(problem) = result {
                        let held = &caller.claims.scopes;
                        fail(&format!(
                            "{named:?} ({object}) with {arguments:?} for {held:?}: {problem}"
                        ));
                    }
                }
            }
        }
        for change in &changes {
            *counts.entry(change.kind).or_default() += 1;
            let Some(region) = &change.region else { continue };
            let asked = |caller| Asked {
                arguments: Some(&arguments[0]),
                ..Asked::of_caller(caller, now())
            };
            let concerns = callers.iter().any(|[caller, _]| region.contains(asked(caller)));
            if language == Language::ScopesAlone && !concerns {
                fail(&format!("concerns nobody: {}: {}", change.object, change.text));
            }
        }
    }
    // A generator that makes no difference would prove nothing.
    assert!(pairs < 100 || counts.len() == 5, "{counts:?}");
    println!("{pairs} pairs: {counts:?}");
}

#[test]
fn of_scopes_exactly_what_changes_is_told() {
    let guises = [json!({})];
    run(Language::ScopesAlone, &guises, &[Map::new()], number("DIFF_PAIRS", 400));
}

#[test]
fn of_conditions_all_that_changes_is_told() {
    let guises = [
        json!({"client_id": "cli", "department": "hr", "acr": "gold"}),
        json!({"client_id": "web", "department": "it", "acr": "silver"}),
        json!({"client_id": "other"}),
    ];
    let arguments = [
        json!({}),
        json!({"amount": 1}),
        json!({"amount": 5, "more": true}),
        json!({"amount": 7}),
        json!({"amount": "x"}),
        json!({"amount": null}),
    ]
    .map(|value| value.as_object().unwrap().clone());
    run(Language::Whole, &guises, &arguments, number("DIFF_PAIRS", 400) / 10);
}
