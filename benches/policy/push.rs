//! What a push costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_deputy::config::{self, Config};
use serde_json::{Value, json};

use crate::stage;

/// The scopes that rules ask for, besides `mcp:connect`.
pub const SCOPES: usize = 20;
const PUSHED: [usize; 4] = [10, 1_000, 10_000, 100_000];

pub fn tool(number: usize) -> String {
    format!("team{}_tool{number:06}", number % 8)
}

/// So many rules, on tools and on how their names begin: each asks for scopes, some for claims, some
/// for arguments.
pub fn configuration(rules: usize) -> Value {
    let delegation = json!({"scope": "ledger:Call"});
    let rule = |number: usize| {
        let mut require = json!({"scopes": ["mcp:connect", format!("s{}", number % SCOPES)]});
        if number.is_multiple_of(3) {
            require["claims"] = json!({"/org/tier": {"in": ["silver", "gold"]}});
        }
        if number.is_multiple_of(4) {
            require["arguments"] = json!({
                "amount": {"min": 1, "max": 1_000},
                "currency": {"in": ["CHF", "EUR"]},
            });
        }
        json!({"require": require, "message": "Access denied: ask for it.", "delegation": delegation})
    };
    let beginnings = (0..2).map(|team| (format!("team{team}_*"), rule(team)));
    let tools: serde_json::Map<_, _> =
        (2..rules).map(|number| (tool(number), rule(number))).chain(beginnings).collect();
    let mut configuration = stage::configuration();
    let scopes = (0..SCOPES).map(|number| format!("s{number}"));
    configuration["protected_resource"]["scopes_supported"] =
        scopes.chain(["mcp:connect".to_owned()]).collect();
    configuration["endpoints"] = json!([{"path": "/mcp", "policy": "it"}]);
    configuration["policies"] = json!({"it": {
        "audience": stage::AUDIENCE,
        "baseline": "without_token",
        "tools": tools,
    }});
    configuration
}

/// Pushes configurations of more and more rules.
pub fn measure(runtime: &str) -> Vec<Value> {
    let push = |rules: usize| {
        let text = configuration(rules).to_string();
        let mut times: Vec<(Duration, Duration)> = (0..5)
            .map(|_| {
                let start = Instant::now();
                let value = config::value(text.as_bytes()).unwrap();
                let read = start.elapsed();
                let config = Config::from_value(value).unwrap();
                let all = start.elapsed();
                drop(black_box(config));
                (read, all)
            })
            .collect();
        times.sort_by_key(|(_, all)| *all);
        let (read, all) = times[times.len() / 2];
        json!({
            "runtime": runtime,
            "rules": rules,
            "bytes": text.len(),
            "parse_ms": rounded(read.as_secs_f64() * 1e3),
            "compile_ms": rounded(all.saturating_sub(read).as_secs_f64() * 1e3),
        })
    };
    PUSHED.map(push).into()
}

pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
