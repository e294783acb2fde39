//! What pushes cost in WebAssembly, as JSON: a part of `make bench-policy`. It is an example and no
//! benchmark, since for those Cargo builds the tool too, which is native.

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

fn main() {
    println!("{}", serde_json::json!(push::measure("wasm")));
}
