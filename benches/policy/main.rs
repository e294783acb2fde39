//! What a decision and a push cost, by the number of rules: `make bench-policy`.
//!
//! It writes `benches/results/policy.{md,json}`, with the pushes that `in_wasm.rs` measured, if its
//! output is named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value,
    clippy::cast_precision_loss,
    dead_code,
    missing_docs,
    reason = "a benchmark fails by panicking, and needs a part of the stage alone"
)]

mod push;
#[path = "../../tests/flow/stage.rs"]
mod stage;

use std::collections::HashMap;
use std::fmt::Write;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{env, fs};

use mcp_deputy::clock::Now;
use mcp_deputy::config::{self, Config};
use mcp_deputy::mcp::{Id, Method, Object, Operation};
use mcp_deputy::token::{Caller, Callers, PureRust};
use push::{SCOPES, configuration, rounded, tool};
use serde_json::{Value, json};

const DECIDED: [usize; 3] = [10, 1_000, 100_000];
const DECISIONS: usize = 10_000;
const ROUNDS: usize = 41;

fn main() {
    let in_wasm = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let in_wasm = in_wasm.map_or(json!([]), |file| {
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    });
    // Before anything else has grown the heap.
    let bytes_per_rule = bytes_per_rule();
    let mut pushes = push::measure("native");
    pushes.extend(in_wasm.as_array().unwrap().iter().cloned());
    let decisions = [decisions(), look_ups()].concat();
    let results = json!({
        "decisions": decisions,
        "pushes": pushes,
        "bytes_per_rule": bytes_per_rule,
    });
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results");
    fs::create_dir_all(directory).unwrap();
    let pretty = serde_json::to_string_pretty(&results).unwrap();
    fs::write(format!("{directory}/policy.json"), pretty + "\n").unwrap();
    let page = page(&results);
    fs::write(format!("{directory}/policy.md"), &page).unwrap();
    print!("{page}");
}

// What is measured.

fn now() -> Now {
    Now { unix: Duration::from_secs(stage::NOW), monotonic: Duration::from_secs(50) }
}

fn caller(config: &Config, scopes: usize) -> Rc<Caller> {
    let scopes: Vec<String> = (0..scopes).map(|number| format!("s{number}")).collect();
    let claims = json!({
        "scope": format!("mcp:connect {}", scopes.join(" ")), "org": {"tier": "gold"},
    });
    let token = stage::token(claims);
    Callers::new(config.limits.tokens(), Rc::new(PureRust))
        .verify(&token, &config.issuers, &config.scopes, now())
        .unwrap()
}

// Pushes.

/// What the process has more after a push of many rules than before.
fn bytes_per_rule() -> Option<usize> {
    const RULES: usize = 100_000;
    let resident = || {
        let pages = fs::read_to_string("/proc/self/statm").ok()?;
        Some(pages.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
    };
    let text = configuration(RULES).to_string();
    // What reading leaves free is not what the rules hold: it is free before and after.
    drop(black_box(Config::parse(text.as_bytes(), &|_| None).ok()));
    let before = resident()?;
    let configs: Vec<_> =
        (0..2).map(|_| Config::from_value(config::value(text.as_bytes()).unwrap())).collect();
    let after = resident()?;
    drop(black_box(configs));
    Some(after.saturating_sub(before) / RULES)
}

// Decisions.

/// A caller and the calls, to be decided by a policy of so many rules.
struct Load {
    config: Rc<Config>,
    caller: Rc<Caller>,
    operations: Vec<Operation>,
    rules: usize,
    what: &'static str,
}

fn decisions() -> Vec<Value> {
    let configs = DECIDED.map(|rules| {
        let config = Config::from_value(configuration(rules)).unwrap();
        (rules, Rc::new(config))
    });
    let kinds = [
        ("allowed, 8 tools in turn", SCOPES, 8),
        ("allowed, any tool", SCOPES, usize::MAX),
        ("denied, any tool", 0, usize::MAX),
    ];
    let loads: Vec<Load> = kinds
        .iter()
        .flat_map(|(what, scopes, tools)| {
            configs.iter().map(|(rules, config)| Load {
                config: Rc::clone(config),
                caller: caller(config, *scopes),
                operations: operations(*rules, *tools),
                rules: *rules,
                what,
            })
        })
        .collect();
    let mut times = vec![Vec::new(); loads.len()];
    for _ in 0..ROUNDS {
        // One after the other, so that a slow moment of the machine is every load's.
        for (load, times) in loads.iter().zip(&mut times) {
            times.push(load.nanoseconds());
        }
    }
    loads
        .iter()
        .zip(&times)
        .enumerate()
        .map(|(number, (load, own))| {
            let smallest = &times[number / DECIDED.len() * DECIDED.len()];
            row(load.what, load.rules, own, smallest)
        })
        .collect()
}

/// Calls of so many of the tools, half of them with arguments, a tenth of them by how they begin.
fn operations(rules: usize, tools: usize) -> Vec<Operation> {
    let span = tools.min(rules - 2);
    let mut state = 88_172_645_463_325_252_u64;
    let operations = (0..DECISIONS).map(|number| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = 2 + usize::try_from(state % span as u64).unwrap();
        let name = if number % 10 == 0 { "team1_other".to_owned() } else { tool(at) };
        let arguments = json!({"amount": 10, "currency": "CHF", "note": "for the office"});
        let tool = Object::Tool(name.into());
        Operation {
            arguments: arguments.as_object().unwrap().clone(),
            ..Operation::new(Some(Id::Number(7)), Method::ToolsCall, Some(tool))
        }
    });
    operations.collect()
}

impl Load {
    fn nanoseconds(&self) -> f64 {
        let policy = &self.config.endpoints[0].policy;
        let start = Instant::now();
        for operation in &self.operations {
            let _ = black_box(policy.decide(&self.caller, black_box(operation), now()));
        }
        start.elapsed().as_secs_f64() * 1e9 / DECISIONS as f64
    }
}

// Results.

/// What finding a random one of so many names costs in any table of the standard library: as much
/// of a decision is the memory's.
fn look_ups() -> Vec<Value> {
    let tables = DECIDED.map(|rules| {
        let entries = (2..rules).map(|number| (tool(number).into_boxed_str(), Box::new(number)));
        let names = operations(rules, usize::MAX).into_iter().filter_map(|operation| {
            let Some(Object::Tool(name)) = operation.object else { return None };
            Some(name)
        });
        (entries.collect::<HashMap<_, _>>(), names.collect::<Vec<_>>())
    });
    let mut times = DECIDED.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((table, names), times) in tables.iter().zip(&mut times) {
            let start = Instant::now();
            for name in names {
                black_box(table.get(black_box(name)).map(|number| **number));
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / DECISIONS as f64);
        }
    }
    let what = "for comparison, a look-up in a `HashMap` alone, any tool";
    let rows = DECIDED.iter().zip(&times);
    rows.map(|(rules, own)| row(what, *rules, own, &times[0])).collect()
}

/// One row of the results: medians, and of the ratios to what the fewest rules took.
fn row(what: &str, rules: usize, own: &[f64], smallest: &[f64]) -> Value {
    let ratios = own.iter().zip(smallest).map(|(own, smallest)| own / smallest);
    json!({
        "what": what,
        "rules": rules,
        "nanoseconds": rounded(median(own.to_vec())),
        "ratio": rounded(median(ratios.collect())),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn page(results: &Value) -> String {
    let mut page =
        "# The policy, measured\n\nBy `make bench-policy`. Ratios are to the fewest rules, \
                    within one run, medians of interleaved rounds.\n\
         A decision does the same work for any number of rules. What grows is how often the processor\n\
         waits for memory, as the last rows show by themselves.\n\n\
                    | decision | rules | ns | ratio |\n|---|---|---|---|\n"
            .to_owned();
    for row in results["decisions"].as_array().unwrap() {
        let [what, rules, time, ratio] =
            ["what", "rules", "nanoseconds", "ratio"].map(|name| &row[name]);
        writeln!(page, "| {} | {rules} | {time:.0} | {ratio:.2} |", what.as_str().unwrap())
            .unwrap();
    }
    page += "\n| push | rules | bytes of JSON | parse, ms | compile, ms |\n|---|---|---|---|---|\n";
    for row in results["pushes"].as_array().unwrap() {
        let [runtime, rules, bytes, parse, compile] =
            ["runtime", "rules", "bytes", "parse_ms", "compile_ms"].map(|name| &row[name]);
        let runtime = runtime.as_str().unwrap();
        writeln!(page, "| {runtime} | {rules} | {bytes} | {parse} | {compile} |").unwrap();
    }
    if let Some(bytes) = results["bytes_per_rule"].as_u64() {
        writeln!(page, "\nA rule takes about {bytes} bytes of memory.").unwrap();
    }
    page
}
