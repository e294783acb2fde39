//! What `deputy diff` says of two configurations is what they differ in.

// The helpers of tests may panic as tests may.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::needless_pass_by_value
)]

mod command;
mod generator;
mod meaning;
#[path = "../flow/stage.rs"]
#[allow(dead_code)]
mod stage;
mod words;
