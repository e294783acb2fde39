//! Every configuration that is shipped is sound and fresh, and every mistake in one is reported in
//! words that are fixed here.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod meaning;
mod policy;
mod render;
mod shape;
mod shipped;
#[path = "../support/mod.rs"]
mod support;

use mcp_deputy::config::Config;
use serde_json::Value;
use support::{deputy, stdout, text};

const POLICY: &str = "policies/enterprise-ledger.yaml";

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&text(path)).unwrap()
}

/// What the shipped `deputy.yaml` pushes.
fn pushed() -> Value {
    serde_json::from_str(&stdout(&deputy(&["render", "--json"]))).unwrap()
}

fn errors(pushed: Value) -> String {
    Config::from_value(pushed).unwrap_err().to_string()
}

/// What is shipped, with another value there.
fn changed(pointer: &str, value: Value) -> Value {
    let mut pushed = pushed();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    pushed.pointer_mut(parent).unwrap()[name] = value;
    pushed
}
