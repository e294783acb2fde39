//! What is written under `exchange`: every mistake is told in fixed words, and the sections that
//! `docs/authorization-servers.md` shows are sound.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeSet;

use mcp_deputy::config::Config;
use mcp_deputy::exchange::source::Exchange;
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

/// What is written for one authorization server never goes to another by itself.
#[test]
fn a_credential_goes_to_no_server_that_it_was_not_written_for() {
    let missing = |path: &str, name: &str| {
        format!(
            "{path}: missing field `{name}`; help: none is sent to a server that it was not \
             written for: write that server's own here, or if it is the same server, leave out \
             `authority` and `issuer`"
        )
    };
    let target = "exchange.targets.https://ledger.example/";
    let secret = json!({"client_secret_post": {"from_environment": "SECRET"}});
    let actor = json!({"from_environment": "ACTOR"});
    let both = json!({"client_authentication": secret, "actor_token": actor});
    let other = |more: Value| {
        let mut other = json!({
            "preset": "okta", "cluster": "okta", "authority": "acme.okta.com",
            "issuer": "https://acme.okta.com",
        });
        other.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        other
    };
    for (whole, special, expected) in [
        (both.clone(), other(json!({})), vec!["client_authentication", "actor_token"]),
        // What Envoy adds is a secret too.
        (json!({}), other(json!({})), vec!["client_authentication"]),
        (json!({}), json!({"authority": "acme.okta.com"}), vec!["client_authentication"]),
        (
            both.clone(),
            json!({"cluster": "okta", "issuer": "https://acme.okta.com"}),
            vec!["client_authentication", "actor_token"],
        ),
        (both.clone(), other(json!({"client_authentication": secret})), vec!["actor_token"]),
        (
            both.clone(),
            other(json!({"client_authentication": "injected", "actor_token": "none"})),
            vec![],
        ),
        // That preset has an actor's token of its own.
        (both.clone(), other(json!({"preset": "ping", "client_authentication": "none"})), vec![]),
        (json!({"client_authentication": "none"}), other(json!({})), vec![]),
        (json!({"client_authentication": "mtls"}), other(json!({})), vec![]),
        // The same server, elsewhere or by another of its names.
        (both.clone(), json!({"cluster": "backup"}), vec![]),
        (both.clone(), json!({"issuer": "https://acme.okta.com", "path": "/2/token"}), vec![]),
    ] {
        for (place, name) in [(target, "targets"), ("exchange.failover", "failover")] {
            let mut exchange = exchange(&whole);
            exchange[name] = special.clone();
            if name == "targets" {
                exchange[name] = json!({"https://ledger.example/": special});
            }
            let mut configuration = configuration(&exchange);
            let mut issuer = configuration["issuers"][0].clone();
            issuer["issuer"] = json!("https://acme.okta.com");
            if configuration["issuers"].as_array().unwrap().len() == 1 {
                configuration["issuers"].as_array_mut().unwrap().push(issuer);
            }
            let errors = Config::from_value(configuration)
                .map_or_else(|errors| errors.to_string(), |_| String::new());
            let expected: Vec<String> = expected.iter().map(|name| missing(place, name)).collect();
            assert_eq!(errors, expected.join("\n"), "{exchange}");
        }
    }
}

/// Who stands in for one server does not stand in for another.
#[test]
fn a_target_at_another_server_has_no_failover_but_its_own() {
    let written = exchange(&json!({
        "failover": {"cluster": "backup"},
        "targets": {
            "elsewhere": {
                "cluster": "okta", "authority": "acme.okta.com", "issuer": "https://acme.okta.com",
                "client_authentication": "none",
            },
            "near": {"path": "/2/token"},
            "own": {"authority": "acme.okta.com", "failover": {"cluster": "second"}},
        },
    }));
    let exchange: Exchange = serde_json::from_value(written).unwrap();
    let cluster = |one: &Exchange| one.failover_resolved().and_then(|other| other.cluster);
    let failovers: Vec<Option<String>> =
        exchange.resolved().iter().map(|(_, one)| cluster(one)).collect();
    let [backup, second] = ["backup", "second"].map(|name| Some(name.to_owned()));
    assert_eq!(failovers, [backup.clone(), None, backup, second]);
}

#[test]
fn secrets_come_from_the_environment_and_show_in_no_error() {
    const SECRET: &str = "correct horse battery staple";
    let environment = |name: &str| match name {
        "EMPTY" => Some(String::new()),
        "TEXT" => Some(SECRET.to_owned()),
        "LINE" => Some(format!("{SECRET}\n")),
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
    let with_controls = |path: &str| {
        let help = "set it without a line break at its end";
        format!("exchange.{path}.from_environment: `LINE` has control characters; help: {help}")
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
        (
            authentication("client_secret_basic", "LINE"),
            with_controls("client_authentication.client_secret_basic"),
        ),
        (actor("LINE"), with_controls("actor_token")),
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

/// A secret that stands where its variable's name belongs, or in that place's stead, is not repeated.
#[test]
fn a_secret_in_the_configuration_shows_in_no_error() {
    const HELP: &str = "help: name a variable of Envoy's environment; the secret itself does not \
                        belong in the configuration";
    const KINDS: &str = "one of `injected`, `mtls`, `client_secret_post`, `client_secret_basic`, \
                         `private_key_jwt`, `none`";
    let key = "one of `from_environment`, `key_id`, `audience`";
    for (name, value, path, message) in [
        ("exchange", json!({"client_authentication": {"client_secret_post": "hunter2"}}), "exchange.client_authentication.client_secret_post", "invalid type: string, expected an object".to_owned()),
        ("exchange", json!({"client_authentication": "hunter2"}), "exchange.client_authentication", format!("unknown value, expected {KINDS}")),
        ("exchange", json!({"client_authentication": {"hunter2": {}}}), "exchange.client_authentication", format!("unknown value, expected {KINDS}")),
        ("exchange", json!({"client_authentication": {"client_secret_basic": {"hunter2": 1, "from_environment": "A"}}}), "exchange.client_authentication.client_secret_basic", "unknown field, expected `from_environment`".to_owned()),
        ("exchange", json!({"client_authentication": {"client_secret_basic": {"from_environment": ["hunter2, expected x"]}}}), "exchange.client_authentication.client_secret_basic.from_environment", "invalid type: list, expected a string".to_owned()),
        ("exchange", json!({"client_authentication": {"client_secret_post": {"from_environment": 40_127}}}), "exchange.client_authentication.client_secret_post.from_environment", "invalid type: integer, expected a string".to_owned()),
        ("exchange", json!({"client_authentication": {"private_key_jwt": {"from_environment": "A", "audience": "b", "hunter2": 1}}}), "exchange.client_authentication.private_key_jwt", format!("unknown field, expected {key}")),
        ("exchange", json!({"actor_token": "eyJhbGciOi.hunter2`, expected \"x"}), "exchange.actor_token", "unknown value, expected one of `none`, `subject_token`, `client_credentials`, `from_environment`".to_owned()),
        ("exchange", json!({"targets": {"a": {"actor_token": {"from_environment": {"hunter2": 1}}}}}), "exchange.targets.a.actor_token.from_environment", "invalid type: object, expected a string".to_owned()),
        ("sessions", json!("hunter2"), "sessions", "invalid type: string, expected an object".to_owned()),
        ("sessions", json!({"keys_from_environment": "hunter2"}), "sessions.keys_from_environment", "invalid type: string, expected a list".to_owned()),
    ] {
        let mut configuration = configuration(&exchange(&json!({})));
        configuration[name] = if name == "exchange" { exchange(&value) } else { value };
        let errors = Config::from_value(configuration).unwrap_err().to_string();
        assert_eq!(errors, format!("{path}: {message}; {HELP}"));
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
