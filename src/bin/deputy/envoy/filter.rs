//! `filter.yaml`: the filter with its configuration, which Envoy takes up while it runs (ECDS).

use std::collections::BTreeSet;

use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::fingerprint::fingerprint;
use serde_json::Value;

use super::{Envoy, GENERATED};
use crate::yaml::{escaped, indented, scalar};

/// What a filter in WebAssembly is of, to Envoy.
pub const FILTER_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// A rendered file.
pub struct Filter {
    /// What Envoy calls it: changes with every change.
    pub version: String,
    /// The whole file.
    pub text: String,
}

/// Renders the file.
pub fn render(envoy: &Envoy, pushed: &Value, typed: &Pushed) -> Filter {
    let configuration = escaped(&format!("{pushed:#}"));
    let wasm = scalar(&envoy.wasm);
    let environment = environment(typed);
    let configuration = indented(&configuration, 12);
    let resources = format!(
        r#"resources:
  - "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
    name: deputy
    typed_config:
      "@type": {FILTER_TYPE}
      config:
        name: deputy
        root_id: deputy
        # No request passes without the filter; a virtual machine that failed is made anew.
        failure_policy: FAIL_RELOAD
        # Headers are held until the body is judged.
        allow_on_headers_stop_iteration: true
        vm_config:
          vm_id: deputy
          runtime: envoy.wasm.runtime.v8
          code: {{local: {{filename: {wasm}}}}}{environment}
        configuration:
          "@type": type.googleapis.com/google.protobuf.StringValue
          value: |
{configuration}"#
    );
    let version = fingerprint(resources.as_bytes()).into_string();
    let text = format!("{GENERATED}version_info: \"{version}\"\n{resources}");
    Filter { version, text }
}

/// The environment variables of Envoy's that the filter may read: no others reach its virtual machine.
fn environment(pushed: &Pushed) -> String {
    let sessions = pushed.sessions.iter().flat_map(|sessions| &sessions.keys_from_environment);
    let sessions = sessions.map(String::as_str);
    // Envoy takes none twice.
    let names: BTreeSet<&str> = sessions.chain(pushed.exchange.variables()).collect();
    if names.is_empty() {
        return String::new();
    }
    let names = names.into_iter().map(scalar).collect::<Vec<_>>().join(", ");
    format!(
        "
          # Secrets that the configuration names.
          environment_variables: {{host_env_keys: [{names}]}}"
    )
}
