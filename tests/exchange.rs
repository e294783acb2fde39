//! What is written under `exchange`: every mistake is told in fixed words, and the sections that
//! `docs/authorization-servers.md` shows are sound.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;

use mcp_deputy::config::Config;
use serde_json::{Value, json};
use support::{deputy, scratch, stderr, text};

const PAGE: &str = "docs/authorization-servers.md";

/// A whole configuration with this `exchange`, and with all issuers that it names.
fn configuration(exchange: &Value) -> Value {
    let keys: Value = serde_json::from_str(&text("keys/authorization-server.jwks.json")).unwrap();
    let targets = exchange["targets"].as_object().into_iter().flat_map(|targets| targets.values());
    let names: BTreeSet<&str> =
        [exchange].into_iter().chain(targets).filter_map(|one| one["issuer"].as_str()).collect();
    let issuers: Vec<Value> =
        names.into_iter().map(|issuer| json!({"issuer": issuer, "jwks": keys})).collect();
    json!({
        "protected_resource": {
            "resource": "https://gateway.example/mcp",
            "authorization_servers": ["https://login.example"],
            "scopes_supported": [],
        },
        "issuers": issuers,
        "endpoints": [{"path": "/mcp", "policy": "ledger"}],
        "policies": {"ledger": {
            "audience": "https://ledger.example/",
            "lifetime": "1h",
            "baseline": "without_token",
            "tools": {"read": {"delegation": {"scope": "read"}}},
        }},
        "exchange": exchange,
    })
}

/// A sound section, and this besides.
fn exchange(more: &Value) -> Value {
    let mut exchange = json!({
        "cluster": "server", "authority": "login.example", "issuer": "https://login.example",
        "actor": "gateway",
    });
    for (name, value) in more.as_object().unwrap() {
        exchange[name] = value.clone();
    }
    exchange.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    exchange
}

#[test]
fn every_section_that_the_page_shows_is_sound_and_every_preset_has_one() {
    let page = text(PAGE);
    let mut shown = BTreeSet::new();
    for block in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let block: Value = serde_yaml_ng::from_str(block).unwrap();
        let preset = block["exchange"]["preset"].as_str().unwrap_or("generic").to_owned();
        let compiled = Config::from_value(configuration(&block["exchange"]));
        assert!(compiled.is_ok(), "{preset}: {}", compiled.unwrap_err());
        assert!(page.contains(&format!("\n## {preset}\n")), "{preset}");
        shown.insert(preset);
    }
    let schema: Value = serde_json::from_str(&text("schema/config.schema.json")).unwrap();
    let presets = schema["$defs"]["Preset"]["oneOf"].as_array().unwrap().iter();
    assert_eq!(shown, presets.map(|it| it["const"].as_str().unwrap().to_owned()).collect());
}

#[test]
fn the_pages_table_has_every_setting() {
    let page = text(PAGE);
    let (_, table) = page.split_once("\n## Settings\n").unwrap();
    let first = |row: &str| row.split('|').nth(1).unwrap_or_default().to_owned();
    let named: String = table.lines().map(first).collect();
    let schema: Value = serde_json::from_str(&text("schema/config.schema.json")).unwrap();
    for setting in schema["$defs"]["Exchange"]["properties"].as_object().unwrap().keys() {
        assert!(named.contains(&format!("`{setting}`")), "{setting}");
    }
}

#[test]
fn every_mistake_is_told_with_its_path() {
    let placeholders =
        "help: placeholders are `{scope}`, `{audience}`, `{actor}` and `{client_id}`";
    let reserved = "help: what it says follows from the other settings and the rule";
    let variable = "not the name of an environment variable; help: name a variable like \
                    `DEPUTY_CLIENT_SECRET`; the secret itself does not belong in the configuration";
    let okta = json!({"preset": "okta"});
    for (more, expected) in [
        (json!({"cluster": null}), "exchange: missing field `cluster`".to_owned()),
        (json!({"preset": "octa"}), "exchange.preset: unknown value `octa`; help: did you mean `okta`?".to_owned()),
        (json!({"actor": "two words"}), "exchange.actor: `two words` is empty or has spaces".to_owned()),
        (json!({"scope": "{scop}"}), format!("exchange.scope: `{{scop}}` is not a template; {placeholders}")),
        (json!({"token_audience": "{"}), format!("exchange.token_audience: `{{` is not a template; {placeholders}")),
        (
            json!({"ignored_scopes": ["email", "{x}"]}),
            format!("exchange.ignored_scopes[1]: `{{x}}` is not a template; {placeholders}"),
        ),
        (
            json!({"parameters": {"connector_id": "github", "scope": "admin", "subject_token": "x"}}),
            format!("exchange.parameters.scope: `scope` is not yours to set; {reserved}\nexchange.parameters.subject_token: `subject_token` is not yours to set; {reserved}"),
        ),
        (
            json!({"targets": {"a": {"targets": {"b": {}}}}}),
            "exchange.targets.a.targets: not possible here; help: write all of them side by side".to_owned(),
        ),
        (
            json!({"targets": {"a": {"issuer": "https://other.example"}}, "issuer": "https://login.example"}),
            String::new(),
        ),
        (json!({"targets": {"a": {"path": "token"}}}), "exchange.targets.a.path: `token` is not a path; help: write what follows the host in `token_endpoint`".to_owned()),
        (
            json!({"client_authentication": {"client_secret_post": {"from_environment": "hunter-2"}}}),
            format!("exchange.client_authentication.client_secret_post.from_environment: {variable}"),
        ),
        (
            json!({"client_authentication": {"private_key_jwt": {"from_environment": "KEY", "audience": ""}}}),
            "exchange.client_authentication.private_key_jwt.audience: it is empty; help: write the authorization server's issuer, or its token endpoint".to_owned(),
        ),
        (
            json!({"actor_token": {"from_environment": "eyJhbGciOi.x.y"}}),
            format!("exchange.actor_token.from_environment: {variable}").replace("CLIENT_SECRET", "ACTOR_TOKEN"),
        ),
        (
            json!({"preset": "authentik"}),
            "exchange.actor_token: this preset's authorization server names no actor without an actor's token; help: write `actor_token: {from_environment: DEPUTY_ACTOR_TOKEN}`, and let that variable of Envoy's environment hold the token of `actor`".to_owned(),
        ),
        (json!({"preset": "zitadel", "actor_claim": "azp"}), String::new()),
        (okta.clone(), String::new()),
        (json!({"target": "resource"}), String::new()),
    ] {
        let errors = Config::from_value(configuration(&exchange(&more)))
            .map_or_else(|errors| errors.to_string(), |_| String::new());
        assert_eq!(errors, expected, "{more}");
    }
    for target in ["resource", "both"] {
        for audience in ["ledger", "https://ledger.example/#top", ":x", "1a:b", "urn:"] {
            let mut unfit = configuration(&exchange(&json!({"target": target})));
            unfit["policies"]["ledger"]["audience"] = json!(audience);
            let errors = Config::from_value(unfit).unwrap_err().to_string();
            let expected = format!(
                "policies.ledger.tools.read.delegation: audience `{audience}` is no `resource` \
                 (RFC 8707); help: write an absolute URI without a fragment, or `exchange.target: \
                 audience`"
            );
            assert_eq!(errors, expected);
        }
        for audience in ["api://ledger", "urn:ledger:1", "HTTPS://ledger.example"] {
            let mut fit = configuration(&exchange(&json!({"target": target})));
            fit["policies"]["ledger"]["audience"] = json!(audience);
            assert!(Config::from_value(fit).is_ok(), "{audience}");
        }
    }
    for (preset, lifetime, shortest) in [("okta", "4m", "5m"), ("entra", "5m", "10m")] {
        let mut short = configuration(&exchange(&json!({"preset": preset})));
        short["policies"]["ledger"]["lifetime"] = json!(lifetime);
        // Told once, though two endpoints have the policy.
        let endpoints = short["endpoints"].as_array_mut().unwrap();
        endpoints.push(json!({"path": "/mcp/again", "policy": "ledger"}));
        let seconds = lifetime.strip_suffix('m').unwrap().parse::<u64>().unwrap() * 60;
        assert_eq!(
            Config::from_value(short.clone()).unwrap_err().to_string(),
            format!(
                "policies.ledger.tools.read.delegation: this preset's authorization server gives no token that lives `{seconds}s`; help: write `lifetime: {shortest}`, here or in the policy"
            )
        );
        short["exchange"]["longer_lifetime"] = json!("danger_accept");
        Config::from_value(short).unwrap();
    }
}

#[test]
fn secrets_come_from_the_environment_and_show_in_no_error() {
    const SECRET: &str = "correct horse battery staple";
    let environment = |name: &str| match name {
        "EMPTY" => Some(String::new()),
        "TEXT" => Some(SECRET.to_owned()),
        "PUBLIC" => Some(text("keys/authorization-server.jwks.json")),
        "RSA" => Some(text("tests/keys/rsa.jwk")),
        "P256" => Some(text("tests/keys/p256.jwk")),
        _ => None,
    };
    let unset = |path: &str, name: &str| {
        let help =
            "set it in Envoy's environment, and let `deputy render` name it in `filter.yaml`";
        format!(
            "exchange.{path}.from_environment: `{name}` is not set in the environment; help: {help}"
        )
    };
    let no_key = |name: &str| {
        let help = "set it to a private JWK of the type EC with the curve P-256, or OKP with \
                    Ed25519, or to a private RSA key in PEM";
        format!(
            "exchange.client_authentication.private_key_jwt.from_environment: `{name}` holds no private key; help: {help}"
        )
    };
    let authentication = |kind: &str, name: &str| {
        let mut secret = json!({"from_environment": name});
        if kind == "private_key_jwt" {
            secret["audience"] = json!("https://login.example");
        }
        json!({"client_authentication": {kind: secret}})
    };
    let actor = |name: &str| json!({"actor_token": {"from_environment": name}});
    for (more, expected) in [
        (authentication("client_secret_post", "TEXT"), String::new()),
        (authentication("private_key_jwt", "P256"), String::new()),
        (actor("TEXT"), String::new()),
        (
            authentication("client_secret_post", "NONE"),
            unset("client_authentication.client_secret_post", "NONE"),
        ),
        (
            authentication("client_secret_basic", "EMPTY"),
            unset("client_authentication.client_secret_basic", "EMPTY"),
        ),
        (
            authentication("private_key_jwt", "NONE"),
            unset("client_authentication.private_key_jwt", "NONE"),
        ),
        (actor("EMPTY"), unset("actor_token", "EMPTY")),
        (authentication("private_key_jwt", "TEXT"), no_key("TEXT")),
        (authentication("private_key_jwt", "PUBLIC"), no_key("PUBLIC")),
        (authentication("private_key_jwt", "RSA"), no_key("RSA")),
    ] {
        let pushed = configuration(&exchange(&more));
        // Who checks a configuration need not have its secrets.
        Config::from_value(pushed.clone()).unwrap();
        let config = Config::parse(pushed.to_string().as_bytes(), &environment);
        let shown =
            config.as_ref().map_or_else(ToString::to_string, |config| format!("{config:?}"));
        for secret in ["horse", "jpsQnnGQmL", "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bc"] {
            assert!(!shown.contains(secret), "{more}: {shown}");
        }
        assert_eq!(config.err().map_or_else(String::new, |errors| errors.to_string()), expected);
    }
}

/// Envoy takes no variable twice.
#[test]
fn envoy_passes_on_each_variable_that_is_named_once() {
    let out = scratch("variables");
    let secret = json!({"client_secret_post": {"from_environment": "SECRET"}});
    let more = json!({
        "client_authentication": secret,
        "actor_token": {"from_environment": "ACTOR"},
        "targets": {"a": {"client_authentication": secret}},
    });
    let mut arguments = vec!["render".to_owned(), "--out".to_owned()];
    arguments.push(out.to_str().unwrap().to_owned());
    for (name, value) in more.as_object().unwrap() {
        arguments.extend(["--set".to_owned(), format!("exchange.{name}={value}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = deputy(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let filter = std::fs::read_to_string(out.join("filter.yaml")).unwrap();
    let filter: Value = serde_yaml_ng::from_str(&filter).unwrap();
    assert_eq!(
        filter["resources"][0]["typed_config"]["config"]["vm_config"]["environment_variables"],
        json!({"host_env_keys": ["ACTOR", "SECRET"]})
    );
}
