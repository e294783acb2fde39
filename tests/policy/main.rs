//! The policy language against a naive reading of `docs/policy.md`.

// The helpers of tests may panic as tests may, and no test here needs the whole stage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, dead_code, missing_docs)]

mod differential;
mod generator;
mod reference;
#[path = "../flow/stage.rs"]
mod stage;
