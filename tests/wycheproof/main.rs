//! Project Wycheproof's known answers by pure Rust; `in_envoy.rs` runs them by Envoy.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod suites;

use mcp_deputy::token::PureRust;

#[test]
fn every_answer_is_the_known_one() {
    for (name, expected) in suites::EXPECTED {
        let count = suites::run(name, &PureRust);
        assert_eq!(count.to_string(), expected, "{name}: {}", count.wrong.join("\n"));
    }
}
