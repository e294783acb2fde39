//! What `deputy explain` says of a call is what the filter does with it.

use std::process::Command;
use std::{env, fs, process};

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

/// What the tool says.
fn explain(config: &str, token: &str, call: [&str; 2]) -> Value {
    let moment = "2027-01-15T08:00:00Z";
    let output = Command::new(env!("CARGO_BIN_EXE_deputy"))
        .args(["explain", "--config", config, "--endpoint", "/mcp", "--token", token])
        .args(call)
        .args(["--at", moment, "--format", "json"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_explanation_is_what_the_filter_does() {
    let directory = env::temp_dir().join(format!("deputy-explained-{}", process::id()));
    fs::create_dir_all(&directory).unwrap();
    let [config, file] = ["deputy.yaml", "token"].map(|name| directory.join(name));
    let mut configuration = configuration();
    let only_finance = json!({
        "require": {"claims": {"department": {"equals": "finance"}}, "acr_values": ["gold"]},
        "delegation": {"scope": "ledger:Finance"},
    });
    configuration["policies"]["ledger"]["tools"]["close"] = only_finance;
    fs::write(&config, configuration.to_string()).unwrap();
    let mut stage = Stage::with(configuration);
    let tokens = [
        json!({}),
        json!({"scope": "mcp:connect pii:read"}),
        json!({"scope": "pii:read", "acr": "gold"}),
        json!({"department": "finance"}),
        json!({"department": "finance", "acr": "gold"}),
    ];
    let names =
        ["listAccounts", "getCustomerPII", "readNotes", "wipe", "secretTool", "close", "no", "a b"];
    let mut calls: Vec<[&str; 2]> = names.map(|name| ["--tool", name]).into();
    calls.extend([["--prompt", "summary"], ["--prompt", "none"]]);
    calls.extend(
        ["ledger://accounts/1", "ledger://accounts/closed/1", "x:\u{e9}"]
            .map(|uri| ["--resource", uri]),
    );
    calls.extend(
        ["initialize", "tools/list", "notifications/initialized"].map(|name| ["--method", name]),
    );
    let mut seen = Vec::new();
    for token in tokens.map(token) {
        fs::write(&file, &token).unwrap();
        for call in &calls {
            let explained = explain(config.to_str().unwrap(), file.to_str().unwrap(), *call);
            let (method, params) = match *call {
                ["--tool", name] => ("tools/call", json!({"name": name})),
                ["--prompt", name] => ("prompts/get", json!({"name": name})),
                ["--resource", uri] => ("resources/read", json!({"uri": uri})),
                [_, method] => (method, json!({})),
            };
            let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
            if !method.starts_with("notifications/") {
                message["id"] = 1.into();
            }
            let (stream, step) = stage.send(&token, &message.to_string());
            let recorded = match step {
                Step::Call(callout) => {
                    let form = form_urlencoded::parse(&callout.body);
                    let form: Vec<_> = form.into_owned().collect();
                    let named = |name: &str| form.iter().find(|(known, _)| known == name).unwrap();
                    let delegation = &explained["delegation"];
                    assert_eq!(delegation["scope"], named("scope").1);
                    assert_eq!(delegation["audience"], named("audience").1);
                    // It is not exchanged here, so it does not go up.
                    assert_eq!(explained["decision"], "allow", "{call:?}");
                    &["rule"][..]
                }
                step => {
                    let reply = step.reply();
                    let answer = &explained["answer"];
                    assert_eq!(answer["status"], reply.status, "{call:?}");
                    assert_eq!(answer["body"], body(&reply), "{call:?}");
                    let headers = answer["headers"].as_object().unwrap();
                    assert_eq!(headers.len(), reply.headers.len());
                    for (name, value) in headers {
                        assert_eq!(value.as_str(), header(&reply, name), "{call:?}");
                    }
                    &["decision", "rule", "reason"]
                }
            };
            let record = stream.close(&mut stage, 0).unwrap();
            for name in recorded {
                assert_eq!(explained.get(*name), record.get(*name), "{call:?}: {name}");
            }
            seen.push(explained["decision"].as_str().unwrap().to_owned());
        }
    }
    for decision in ["allow", "deny", "refuse"] {
        assert!(seen.iter().any(|known| known == decision), "no call to {decision}");
    }
}
