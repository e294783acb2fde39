//! The same cases by the verifier that the filter has, in Envoy: a filter that answers `/ALG` with
//! what came of that suite. `tests/envoy/wycheproof.test.mjs` asks for them.

#![cfg(target_arch = "wasm32")]
#![allow(
    unsafe_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod suites;

use mcp_deputy::filter::verifier::verifier;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

/// Envoy calls it after `_initialize`, which is the filter's own.
#[unsafe(no_mangle)]
extern "C" fn main(_: i32, _: i32) -> i32 {
    proxy_wasm::set_root_context(|_| Box::new(Root));
    0
}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        verifier().is_some()
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap();
        let name = path.trim_start_matches('/');
        let (_, expected) = suites::EXPECTED.into_iter().find(|(known, _)| *known == name).unwrap();
        let count = suites::run(name, &*verifier().unwrap());
        let answer = serde_json::json!({
            "expected": expected, "counted": count.to_string(), "wrong": count.wrong,
        });
        self.send_http_response(200, vec![], Some(answer.to_string().as_bytes()));
        Action::Pause
    }
}
