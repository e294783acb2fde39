//! The floor for a filter in WebAssembly that reads what it is asked for: holds the headers and the
//! body, copies both, and lets them go.

#![allow(missing_docs, unsafe_code, reason = "a benchmark; the macro exports `_initialize`")]
#![cfg(target_arch = "wasm32")]

use proxy_wasm::hostcalls::{get_buffer, get_map_bytes};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
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
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let _ = std::hint::black_box(get_map_bytes(MapType::HttpRequestHeaders));
        if end_of_stream { Action::Continue } else { Action::Pause }
    }

    fn on_http_request_body(&mut self, length: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let _ = std::hint::black_box(get_buffer(BufferType::HttpRequestBody, 0, length));
        Action::Continue
    }
}
