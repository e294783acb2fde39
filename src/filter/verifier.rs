//! Envoy's own check of signatures, native and so many times as fast as WebAssembly, where known
//! answers prove it.

use std::cell::OnceCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use super::host_calls;
use crate::token::{Algorithm, SignatureCheck, SignatureVerifier, envoy, proven};

/// The verifier of this VM. None if Envoy has no room for a metric.
#[must_use]
pub fn verifier() -> Option<Rc<dyn SignatureVerifier>> {
    thread_local! {
        static VERIFIER: OnceCell<Rc<EnvoyVerifier>> = const { OnceCell::new() };
    }
    VERIFIER.with(|known| {
        if let Some(verifier) = known.get() {
            return Some(Rc::clone(verifier) as _);
        }
        let verifier = Rc::new(EnvoyVerifier::detect()?);
        Some(Rc::clone(known.get_or_init(|| verifier)) as _)
    })
}

/// Envoy for the algorithms that are proven, and nobody for the others. Counts both.
#[derive(Debug)]
struct EnvoyVerifier {
    algorithms: Vec<Algorithm>,
    by_envoy: u32,
    in_wasm: u32,
}

impl EnvoyVerifier {
    fn detect() -> Option<Self> {
        let counter = |name| hostcalls::define_metric(MetricType::Counter, name).ok();
        let by_envoy = counter("mcp_deputy.signatures_by_envoy")?;
        let in_wasm = counter("mcp_deputy.signatures_in_wasm")?;
        let algorithms = proven(&Unproven);
        let names = |is_by_envoy| {
            let all = Algorithm::ALL.into_iter();
            let names = all.filter(|one| algorithms.contains(one) == is_by_envoy);
            names.map(Algorithm::as_str).collect::<Vec<_>>().join(" ")
        };
        log::info!("signatures by Envoy: {}; in WebAssembly: {}", names(true), names(false));
        Some(Self { algorithms, by_envoy, in_wasm })
    }
}

impl SignatureVerifier for EnvoyVerifier {
    fn verify(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        let is_proven = self.algorithms.contains(&check.algorithm);
        let answer = if is_proven { Unproven.verify(check) } else { None };
        let counter = if answer.is_some() { self.by_envoy } else { self.in_wasm };
        let _ = hostcalls::increment_metric(counter, 1);
        answer
    }
}

/// Whatever Envoy says.
#[derive(Debug)]
struct Unproven;

impl SignatureVerifier for Unproven {
    fn verify(&self, check: &SignatureCheck<'_>) -> Option<bool> {
        let reply = host_calls::call_foreign_function("verify_signature", &envoy::request(check)?)?;
        Some(envoy::is_yes(&reply))
    }
}
