//! Whatever a policy says, it never allows what it does not name, nor more for a caller with fewer scopes.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mcp_deputy::clock::Now;
use mcp_deputy::config::Config;
use mcp_deputy::mcp::{Method, Object, Operation};
use mcp_deputy::token::{Caller, TrustedIssuer};
use mcp_deputy_fuzz::stage::{ISSUER, RESOURCE, merge};
use mcp_deputy_fuzz::{NOW, configuration, parts};
use serde_json::{Map, Value, json};

fuzz_target!(|input: &[u8]| {
    // Lines: a tool, its arguments, and the policy.
    let Some([tool, arguments, policy]) = parts(input) else { return };
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return };
    let mut pushed = configuration();
    pushed["policies"]["ledger"] = policy.clone();
    let Ok(config) = Config::from_value(pushed) else { return };
    let Some(endpoint) = config.endpoints.first() else { return };
    let policy_text = policy.to_string();
    let unix = Duration::from_secs(NOW);
    let now = Now { unix, monotonic: unix };
    let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    let allows = |name: &str, caller: &Caller| {
        let mut operation =
            Operation::new(None, Method::ToolsCall, Some(Object::Tool(name.into())));
        operation.arguments.clone_from(&arguments);
        endpoint.policy.decide(caller, &operation, now).is_ok()
    };
    let all = caller(&config, &json!({"scope": "mcp:connect pii:read audit:read"}));
    let few = caller(&config, &json!({"scope": "mcp:connect"}));
    let none = caller(&config, &json!({"scope": Value::Null}));
    for name in ["nobodyNamesThis", tool].into_iter().filter(|name| mcp_deputy::mcp::is_name(name))
    {
        let [all, few, none] = [&all, &few, &none].map(|caller| allows(name, caller));
        // A name stands there as it is, if in escapes, or a pattern does.
        let is_named = policy_text.contains(&format!("\"{name}\"")) || policy_text.contains('*');
        assert!(is_named || !all, "{name} is allowed by nothing");
        assert!(all || !few, "fewer scopes allow more");
        assert!(!none, "the endpoint's own scope is missing");
    }
});

fn caller(config: &Config, changes: &Value) -> Caller {
    let claims = merge(
        json!({"iss": ISSUER, "sub": "sarah", "aud": RESOURCE, "iat": NOW, "exp": NOW + 600}),
        changes.clone(),
    );
    let TrustedIssuer { expectations, .. } = config.issuers.first().expect("an issuer");
    let claims = claims.as_object().expect("an object").clone();
    Caller::danger_unverified(claims, expectations, &config.scopes).expect("good claims")
}
