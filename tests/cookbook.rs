//! The policies of the cookbook are sound, their bad siblings are refused in words that are fixed,
//! and the page shows the files as they are.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod support;

use mcp_deputy::config::{Config, ConfigErrors};
use serde_json::{Value, json};
use support::{deputy, stderr, stdout};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of the recipes.
fn recipes() -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path("policies/cookbook")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".yaml").filter(|stem| !stem.contains('.'));
        names.extend(stem.map(str::to_owned));
    }
    assert!(names.len() >= 8, "{names:?}");
    names
}

fn text(name: &str) -> String {
    support::text(&format!("policies/cookbook/{name}"))
}

/// Compiles a policy for callers who can obtain the scopes that the recipe names.
fn compile(recipe: &str, policy: &str) -> Result<Config, ConfigErrors> {
    let good: Value = serde_yaml_ng::from_str(&text(&format!("{recipe}.yaml"))).unwrap();
    let mut scopes = BTreeSet::new();
    collect(&good, &mut scopes);
    let keys: Value =
        serde_json::from_slice(&fs::read(path("keys/authorization-server.jwks.json")).unwrap())
            .unwrap();
    Config::from_value(json!({
        "protected_resource": {
            "resource": "https://gateway.example/mcp",
            "authorization_servers": ["https://login.example"],
            "scopes_supported": scopes,
        },
        "issuers": [{"issuer": "https://login.example", "jwks": keys}],
        "endpoints": [{"path": "/mcp", "policy": recipe}],
        "policies": {recipe: serde_yaml_ng::from_str::<Value>(&text(policy)).unwrap()},
        "exchange": {
            "cluster": "authorization_server",
            "authority": "login.example",
            "path": "/token",
            "issuer": "https://login.example",
            "actor": "gateway",
        },
    }))
}

/// The scopes that rules require.
fn collect(value: &Value, scopes: &mut BTreeSet<String>) {
    for name in ["scopes", "any_scope"] {
        let required = value.get(name).and_then(Value::as_array).into_iter().flatten();
        scopes.extend(required.filter_map(Value::as_str).map(str::to_owned));
    }
    match value {
        Value::Object(members) => members.values().for_each(|value| collect(value, scopes)),
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, scopes)),
        _ => {}
    }
}

#[test]
fn every_recipe_is_sound() {
    for recipe in recipes() {
        let config = compile(&recipe, &format!("{recipe}.yaml"));
        assert!(config.is_ok(), "{recipe}: {}", config.unwrap_err());
    }
}

#[test]
fn every_recipe_has_a_bad_sibling_whose_errors_are_told_in_fixed_words() {
    for recipe in recipes() {
        let errors = compile(&recipe, &format!("bad/{recipe}.yaml")).unwrap_err().to_string();
        let expected = text(&format!("bad/{recipe}.stderr"));
        assert_eq!(errors, expected.trim_end(), "{recipe}");
    }
}

#[test]
fn the_page_shows_each_recipe_as_it_is() {
    let page = fs::read_to_string(path("docs/policy.md")).unwrap();
    let shown: BTreeSet<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let files: Vec<String> =
        recipes().iter().map(|recipe| text(&format!("{recipe}.yaml"))).collect();
    assert_eq!(shown, files.iter().map(String::as_str).collect());
}

#[test]
fn the_decision_cases_of_each_recipe_pass_and_leave_no_rule_out() {
    let mut scopes = BTreeSet::new();
    for recipe in recipes() {
        collect(&serde_yaml_ng::from_str(&text(&format!("{recipe}.yaml"))).unwrap(), &mut scopes);
    }
    let supported = format!("protected_resource.scopes_supported={}", json!(scopes));
    // Some recipes tell issuers apart.
    let [staff, partners] = ["staff", "partners"].map(|name| {
        let keys = "keys/authorization-server.jwks.json";
        json!({"issuer": format!("https://{name}.example"), "jwks_file": keys})
    });
    let [staff, partners] =
        [(1, staff), (2, partners)].map(|(at, issuer)| format!("issuers[{at}]={issuer}"));
    for recipe in recipes() {
        let endpoints = format!("endpoints={}", json!([{"path": "/mcp", "policy": recipe}]));
        let output = deputy(&[
            "test",
            "--policy",
            &recipe,
            "--set",
            "policies=policies/cookbook",
            "--set",
            &staff,
            "--set",
            &partners,
            "--set",
            &supported,
            "--set",
            &endpoints,
        ]);
        let told = format!("{recipe}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{told}");
        let is_left_out = |line: &str| line.contains("uncovered") && !line.contains(".baseline:");
        assert!(!told.lines().any(is_left_out), "{told}");
    }
}
