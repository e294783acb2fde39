//! What a configuration cannot mean, and what it had better not.

use std::fs;

use mcp_deputy::config::Config;
use serde_json::{Value, json};

use super::support::{deputy, scratch, stderr, stdout, text};
use super::{changed, errors, pushed};

#[test]
fn bad_metadata_of_the_authorization_server_is_refused_with_every_error() {
    let mut pushed = pushed();
    pushed["authorization_server_metadata"] = json!({
        "issuer": "https://evil.example",
        "authorization_endpoint": "https://login.example/authorize?tenant=a",
        "token_endpoint": "login.example/token",
        "registration_endpoint": "https://login.example/register#x",
        "revocation_endpoint": 1,
        "jwks_uri": "javascript:alert(1)",
        "anything": "else",
    });
    assert_eq!(
        errors(pushed.clone()),
        "\
authorization_server_metadata: missing field `response_types_supported`
authorization_server_metadata.issuer: \"https://evil.example\" is not one of `protected_resource.authorization_servers`; help: clients must not be led to a server whose tokens are not meant
authorization_server_metadata.jwks_uri: \"javascript:alert(1)\" is not an http or https URL without fragment
authorization_server_metadata.registration_endpoint: \"https://login.example/register#x\" is not an http or https URL without fragment
authorization_server_metadata.revocation_endpoint: 1 is not an http or https URL without fragment
authorization_server_metadata.token_endpoint: \"login.example/token\" is not an http or https URL without fragment"
    );
    pushed["authorization_server_metadata"] = json!([]);
    assert_eq!(
        errors(pushed),
        "authorization_server_metadata: invalid type: list, expected an object"
    );
}

#[test]
fn the_metadata_of_the_authorization_server_may_stand_in_a_file() {
    let metadata = json!({
        "issuer": "http://127.0.0.1:9400",
        "authorization_endpoint": "http://127.0.0.1:9400/auth",
        "token_endpoint": "http://127.0.0.1:9400/token",
        "response_types_supported": ["code"],
    });
    let directory = scratch("metadata");
    let file = directory.join("metadata.json");
    let set = format!("authorization_server_metadata_file={}", file.display());
    let missing = deputy(&["render", "--json", "--set", &set]);
    assert!(
        stderr(&missing).starts_with("error: authorization_server_metadata_file: cannot read"),
        "{}",
        stderr(&missing)
    );
    fs::write(&file, metadata.to_string()).unwrap();
    let output = deputy(&["render", "--json", "--set", &set]);
    let rendered: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(rendered["authorization_server_metadata"], metadata);
    assert_eq!(rendered.get("authorization_server_metadata_file"), None);
    fs::write(&file, json!({"issuer": "http://127.0.0.1:9400"}).to_string()).unwrap();
    let wrong = stderr(&deputy(&["check", "--config", "deputy.yaml", "--set", &set]));
    assert!(wrong.contains("missing field `token_endpoint`"), "{wrong}");
    assert!(wrong.contains("metadata.json"), "the error names the file: {wrong}");
}

#[test]
fn every_rule_of_the_configuration_has_its_own_words() {
    let jwk = |members: Value| json!({ "keys": [members] });
    let second = |path: &str| {
        json!([
            {"path": "/mcp", "policy": "enterprise-ledger"},
            {"path": path, "policy": "enterprise-ledger"}
        ])
    };
    for (pointer, value, expected) in [
        ("/issuers", json!([]), "\
issuers: at least one is needed
exchange.issuer: unknown issuer `http://127.0.0.1:9400`"),
        ("/issuers/0/issuer", json!("127.0.0.1"), "\
issuers[0].issuer: `127.0.0.1` is not an http or https URL without query and fragment; help: write it like `https://gateway.example.com/mcp`, scheme and host in lower case
exchange.issuer: unknown issuer `http://127.0.0.1:9400`; help: known are `127.0.0.1`"),
        ("/issuers/0/jwks", json!([]), "\
issuers[0].jwks: not a JSON object with an array `keys`, or not a strict one"),
        ("/issuers/0/jwks", jwk(json!({"kty": "oct", "k": "c2VjcmV0"})), "\
issuers[0].jwks: no key of this set can verify a token: keys[0]: symmetric keys are not supported; help: push the authorization server's public keys, as its `jwks_uri` serves them"),
        ("/issuers/0/audiences", json!([]), "\
issuers[0].audiences: an empty list accepts no token"),
        ("/issuers/0/token_types", json!([]), "\
issuers[0].token_types: an empty list accepts no token"),
        ("/issuers/0/leeway", json!("5"), "\
issuers[0].leeway: `5` is not a duration; help: write a whole number and `ms`, `s`, `m` or `h`, at most `24h`, such as `5s`"),
        ("/issuers/0/jwks_uri", json!("https://login.example.com/jwks"), "\
issuers[0].jwks_uri: unknown field `jwks_uri`; help: known are `issuer`, `profile`, `jwks`, `remote_jwks`, `algorithms`, `audiences`, `token_types`, `scope_claims`, `client_claims`, `client_required`, `max_lifetime`, `leeway`"),
        ("/protected_resource/authorization_servers", json!([]), "\
protected_resource.authorization_servers: at least one is needed"),
        ("/protected_resource/resource", json!("https://gateway.example.com/api"), "\
endpoints[0].path: `/mcp` is outside the protected resource; help: clients expect it at or below `/api`"),
        ("/endpoints", json!([]), "\
endpoints: at least one is needed"),
        ("/endpoints/0/policy", json!("enterprise-leger"), "\
endpoints[0].policy: unknown policy `enterprise-leger`; help: did you mean `enterprise-ledger`?"),
        ("/endpoints/0/path", json!("/mcp/../x"), "\
endpoints[0].path: `/mcp/../x` is not a plain path; help: write it like `/mcp`: letters, digits, `-`, `_`, `.`, `~`, no empty segment"),
        ("/endpoints", second("/mcp"), "\
endpoints[1].path: `/mcp` is too like the path of another endpoint"),
        ("/endpoints", second("/Mcp"), "\
endpoints[1].path: `/Mcp` is outside the protected resource; help: clients expect it at or below `/mcp`
endpoints[1].path: `/Mcp` is too like the path of another endpoint"),
        ("/endpoints", second("/mcpx"), "\
endpoints[1].path: `/mcpx` is outside the protected resource; help: clients expect it at or below `/mcp`"),
        ("/exchange/issuer", json!("http://127.0.0.1:9401"), "\
exchange.issuer: unknown issuer `http://127.0.0.1:9401`; help: did you mean `http://127.0.0.1:9400`?"),
        ("/exchange/timeout", json!("0s"), "\
exchange.timeout: no exchange is answered in no time"),
        ("/exchange/timeout", json!("10s"), "\
limits.decision_time: `10s` leaves no time for an exchange; help: make it longer than `exchange.timeout`, which is `10s`"),
        ("/allowed_origins", json!(["https://app.example.com/x"]), "\
allowed_origins[0]: `https://app.example.com/x` is not an origin; help: write scheme, host and port alone, like `https://app.example.com`"),
        ("/allowed_origins", json!(["*"]), "\
allowed_origins[0]: `*` is not an origin; help: write scheme, host and port alone, like `https://app.example.com`"),
        ("/sessions", json!({"keys_from_environment": []}), "\
sessions.keys_from_environment: at least one is needed"),
        ("/sessions", json!({"keys_from_environment": ["A", "A", "a key, by mistake", "1A", ""]}), "\
sessions.keys_from_environment[1]: `A` is listed twice
sessions.keys_from_environment[2]: not the name of an environment variable; help: name a variable like `DEPUTY_SESSION_KEY`; the secret itself does not belong in the configuration
sessions.keys_from_environment[3]: not the name of an environment variable; help: name a variable like `DEPUTY_SESSION_KEY`; the secret itself does not belong in the configuration
sessions.keys_from_environment[4]: not the name of an environment variable; help: name a variable like `DEPUTY_SESSION_KEY`; the secret itself does not belong in the configuration"),
        ("/sessions", json!({}), "\
sessions: missing field `keys_from_environment`"),
        ("/policies/enterprise-ledger/server_requests", json!(["sampling"]), "\
policies.enterprise-ledger.server_requests[0]: unknown value `sampling`; help: known are `ping`, `sampling/createMessage`, `elicitation/create`, `roots/list`"),
        ("/endpoints/0/revisions", json!([]), "\
endpoints[0].revisions: an empty list serves nobody"),
        ("/endpoints/0/path", json!("/.well-known/mcp"), "\
endpoints[0].path: `/.well-known/mcp` is where metadata documents live
endpoints[0].path: `/.well-known/mcp` is outside the protected resource; help: clients expect it at or below `/mcp`"),
        ("/exchange/retries", json!(6), "\
exchange.retries: `6` is more than 5"),
        ("/exchange/failover", json!({"cluster": "b", "targets": {"https://x.example/": {"cluster": "c"}}}), "\
exchange.failover: has neither targets nor another failover"),
        ("/limits", json!({"body_bytes": 16_777_217}), "\
limits.body_bytes: `16777217` is not between 1 and 16777216"),
        ("/limits", json!({"cached_delegations": 0}), "\
limits.cached_delegations: `0` is not between 1 and 1000000"),
        ("/limits", json!({"cached_token_bytes": 1, "cached_delegation_bytes": 2_000_000_000}), "\
limits.cached_token_bytes: `1` is not between 1048576 and 134217728
limits.cached_delegation_bytes: `2000000000` is not between 1048576 and 134217728"),
        ("/limits", json!({"held_response_bytes": 1000}), "\
limits.held_response_bytes: `1000` is not between 8388608 and 536870912"),
        ("/limits", json!({"body_bytes": -1}), "\
limits.body_bytes: invalid value: integer `-1`, expected a whole number"),
    ] {
        assert_eq!(errors(changed(pointer, value)), expected, "{pointer}");
    }
}

#[test]
fn what_is_left_alone_and_what_is_stripped_is_checked() {
    for (pointer, value, expected) in [
        ("/ignore", json!([{}]), "\
ignore[0]: names neither a host nor a path prefix"),
        ("/ignore", json!([{"host": "*"}, {"host": "https://a.example"}]), "\
ignore[0].host: `*` is not a host; help: write a host, and its port if it has one, like `login.example.com:8443`
ignore[1].host: `https://a.example` is not a host; help: write a host, and its port if it has one, like `login.example.com:8443`"),
        ("/ignore", json!([{"path_prefix": "health"}]), "\
ignore[0].path_prefix: does not begin with `/`"),
        ("/ignore", json!([{"path_prefix": "/mcp"}]), "\
ignore[0]: covers the endpoint `/mcp`; help: name the host, or a longer prefix"),
        ("/ignore", json!([{"path_prefix": "/"}]), "\
ignore[0]: covers the endpoint `/mcp`; help: name the host, or a longer prefix"),
        ("/strip_request_headers", json!(["host", "content-*", "x-*"]), "\
strip_request_headers[0]: `host` cannot be stripped; help: write a header name in lower case, or a prefix of names with `*` at its end; `authorization`, `content-type`, `host` and what MCP needs stay
strip_request_headers[1]: `content-*` cannot be stripped; help: write a header name in lower case, or a prefix of names with `*` at its end; `authorization`, `content-type`, `host` and what MCP needs stay"),
        ("/strip_request_headers", json!(["accept", "mcp-*", "last-event-id", "mcp-other"]), "\
strip_request_headers[0]: `accept` cannot be stripped; help: write a header name in lower case, or a prefix of names with `*` at its end; `authorization`, `content-type`, `host` and what MCP needs stay
strip_request_headers[1]: `mcp-*` cannot be stripped; help: write a header name in lower case, or a prefix of names with `*` at its end; `authorization`, `content-type`, `host` and what MCP needs stay
strip_request_headers[2]: `last-event-id` cannot be stripped; help: write a header name in lower case, or a prefix of names with `*` at its end; `authorization`, `content-type`, `host` and what MCP needs stay"),
    ] {
        assert_eq!(errors(changed(pointer, value)), expected, "{pointer}");
    }
}

#[test]
fn every_rule_of_tokens_and_their_exchange_has_its_own_words() {
    let keys = pushed()["issuers"][0]["jwks"].clone();
    for (pointer, value, expected) in [
        ("/exchange/issuer", json!(null), "\
exchange.issuer: it is empty; help: write a value, or leave the name out too"),
        ("/exchange", json!({"cluster": "a", "authority": "b", "actor": "c"}), "\
exchange: missing field `issuer`"),
        ("/issuers/0/leeway", json!("301s"), "\
issuers[0].leeway: `301s` is more than `5m`; help: so long would a token serve after its end: set the clocks"),
        ("/issuers/0/max_lifetime", json!("900ms"), "\
issuers[0].max_lifetime: `900ms` is not a number of whole seconds; help: tokens count in them"),
        ("/issuers/0/max_lifetime", json!("0s"), "\
issuers[0].max_lifetime: accepts no token; help: write `1h`, say"),
        ("/issuers", json!([{"issuer": "http://127.0.0.1:9400", "jwks": keys, "client_claims": [], "client_required": true}]), "\
issuers[0].client_claims: an empty list accepts no token"),
        ("/issuers", json!([{"issuer": "http://127.0.0.1:9400", "jwks": keys, "client_claims": [], "profile": "okta"}]), "\
issuers[0].client_claims: an empty list accepts no token"),
        ("/issuers/0/profile", json!("ping"), "\
issuers[0].profile: unknown value `ping`; help: known are `rfc9068`, `keycloak`, `okta`, `entra`, `auth0`"),
        ("/implied_scopes", json!({"pii:reed": ["mcp:connect"], "pii:read": []}), "\
implied_scopes.pii:read: implies nothing; help: name a scope, or leave it out
implied_scopes.pii:reed: unknown scope `pii:reed`; help: did you mean `pii:read`?"),
        ("/implied_scopes", json!({"pii:read": ["mcp:conect", "nothing:like:it"]}), "\
implied_scopes.pii:read[0]: unknown scope `mcp:conect`; help: did you mean `mcp:connect`?
implied_scopes.pii:read[1]: unknown scope `nothing:like:it`; help: known are `audit:read`, `mcp:connect`, `pii:read`"),
        ("/implied_scopes", json!({"pii:read": ["audit:read"], "mcp:connect": ["pii:read"], "audit:read": ["pii:read"]}), "\
implied_scopes.audit:read: `audit:read` implies itself; help: scopes that imply each other are one scope: require only one of them"),
        ("/implied_scopes", json!({"pii:read": ["pii:read"]}), "\
implied_scopes.pii:read: `pii:read` implies itself; help: scopes that imply each other are one scope: require only one of them"),
        ("/revoked", json!({"tokens": [{"issuer": "http://127.0.0.1:9401", "id": ""}], "sessions": [{"issuer": "http://127.0.0.1:9400", "id": "a\nb", "issued_before": "today"}]}), "\
revoked.tokens[0].id: `` is in no token; help: a claim has 1 to 1024 bytes and no control characters
revoked.tokens[0].issuer: unknown issuer `http://127.0.0.1:9401`; help: did you mean `http://127.0.0.1:9400`?
revoked.sessions[0].id: `a\nb` is in no token; help: a claim has 1 to 1024 bytes and no control characters
revoked.sessions[0].issued_before: `today` is not a moment; help: write it like `2026-12-31T23:59:59Z` (RFC 3339)"),
        ("/revoked", json!({"tokens": [{"issuer": "http://127.0.0.1:9400", "id": "t", "issued_before": "2026-12-31T23:59:59Z"}], "users": []}), "\
revoked.tokens[0].issued_before: unknown field `issued_before`; help: known are `issuer`, `id`
revoked.users: unknown field `users`; help: known are `tokens`, `subjects`, `clients`, `sessions`"),
    ] {
        assert_eq!(errors(changed(pointer, value)), expected, "{pointer}");
    }
}

#[test]
fn ed25519_can_be_written_by_either_name() {
    for name in ["EdDSA", "Ed25519"] {
        let config = Config::from_value(changed("/issuers/0/algorithms", json!([name]))).unwrap();
        let algorithms = &config.issuers[0].issuer.algorithms;
        assert_eq!(algorithms, &["EdDSA".parse().unwrap()], "{name}");
    }
}

#[test]
fn where_keys_are_fetched_is_checked_before_anybody_fetches() {
    let remote = |members: Value| {
        let mut remote = json!({"cluster": "keys", "authority": "login.example", "path": "/jwks"});
        remote.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        remote
    };
    for (name, value, expected) in [
        ("jwks", Value::Null, "\
issuers[0].jwks: it is empty; help: write a value, or leave the name out too"),
        ("remote_jwks", json!({"cluster": "", "authority": "a b", "path": "jwks"}), "\
issuers[0].remote_jwks.cluster: `` is empty or has spaces
issuers[0].remote_jwks.authority: `a b` is not a host; help: write a host, and its port if it has one, like `login.example.com:8443`
issuers[0].remote_jwks.path: `jwks` is not a path; help: write what follows the host in `jwks_uri`"),
        ("remote_jwks", remote(json!({"timeout": "0s", "interval": "9s", "cooldown": "0s"})), "\
issuers[0].remote_jwks.timeout: no key set is fetched in no time
issuers[0].remote_jwks.interval: `9s` is less than `10s`
issuers[0].remote_jwks.cooldown: `0s` is less than `1s`"),
        ("remote_jwks", remote(json!({"timeout": "10s", "max_stale": "5m"})), "\
issuers[0].remote_jwks.max_stale: `5m` is over before the keys are fetched again; help: make it longer than `interval` and `timeout`, several times `5m`
issuers[0].remote_jwks.timeout: `10s` leaves no time for a decision; help: make it shorter than `limits.decision_time`, 10s"),
    ] {
        let mut pushed = pushed();
        pushed["issuers"][0][name] = value;
        assert_eq!(errors(pushed), expected, "{name}");
    }
    let mut pushed = pushed();
    pushed["issuers"][0].as_object_mut().unwrap().remove("jwks");
    let missing = "issuers[0]: missing field `jwks`; help: push its public keys, or say in `remote_jwks` where they are fetched";
    assert_eq!(errors(pushed.clone()), missing);
    let issuer = pushed["issuers"][0].as_object_mut().unwrap();
    issuer.insert("remote_jwks".to_owned(), remote(json!({})));
    assert!(Config::from_value(pushed).is_ok(), "it needs no pushed keys");
}

#[test]
fn an_authority_is_a_host_and_perhaps_a_port() {
    for authority in
        ["login.example.com", "login.example.com:8443", "10.0.0.1:80", "[::1]", "[2001:db8::1]:443"]
    {
        Config::from_value(changed("/exchange/authority", json!(authority))).unwrap();
    }
    for authority in [
        "",
        "/",
        ":80",
        "https://login.example.com",
        "login.example.com/",
        "user:pw@login.example.com",
        "a,b",
        "a:0",
        "a:99999",
        "a:+1",
        "a:",
        "a:b:1",
        "::1",
        "[::1",
        "[]",
        "[login]",
        "[::1]x",
        "a b",
    ] {
        let expected = format!(
            "exchange.authority: `{authority}` is not a host; help: write a host, and its port if \
             it has one, like `login.example.com:8443`"
        );
        assert_eq!(errors(changed("/exchange/authority", json!(authority))), expected);
    }
}

#[test]
fn a_private_key_is_not_pushed() {
    let directory = scratch("private-keys");
    let set = |name: &str, key: &str| {
        let file = directory.join(name);
        let mut keys: Value =
            serde_json::from_str(&text("keys/authorization-server.jwks.json")).unwrap();
        keys["keys"][1] = serde_json::from_str(key).unwrap();
        fs::write(&file, keys.to_string()).unwrap();
        format!("--set=issuers[0].jwks_file={}", file.display())
    };
    for (name, key) in [
        ("private.json", text("tests/keys/p256.jwk")),
        ("symmetric.json", json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}).to_string()),
    ] {
        let output = deputy(&["render", "--json", &set(name, &key)]);
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(2)));
        let expected = format!(
            "error: issuers[0].jwks.keys[1]: a private or symmetric key, which is compromised\n  \
             --> {}\n  help: let its owner replace it: whoever reads the configuration could sign \
             tokens with it; `deputy keys fetch` takes public keys alone\n",
            directory.join(name).display()
        );
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    }
}

#[test]
fn what_is_in_clear_or_has_no_use_is_a_warning() {
    for (setting, expected) in [
        (
            "protected_resource.resource=http://gateway.example/mcp",
            "warning: protected_resource.resource: `http://gateway.example/mcp` is in clear",
        ),
        (
            "protected_resource.authorization_servers=[\"http://127.0.0.1:9400\", \"http://login.example\"]",
            "warning: protected_resource.authorization_servers[1]: `http://login.example` is in clear",
        ),
        (
            "issuers[1]={issuer: \"http://login.example\", jwks_file: keys/authorization-server.jwks.json}",
            "warning: issuers[1].issuer: `http://login.example` is in clear",
        ),
        (
            "protected_resource.scopes_supported=[\"mcp:connect\", \"pii:read\", \"audit:read\", offline_access]",
            "warning: protected_resource.scopes_supported[3]: `offline_access` is no scope of a protected resource\n  \
             --> deputy.yaml\n  help: leave it out: clients ask the authorization server for it by themselves",
        ),
        (
            "exchange.targets={\"https://enterprise-ledger.orchestrator.lab\": {path: /2}}",
            "warning: exchange.targets.https://enterprise-ledger.orchestrator.lab: no rule delegates to this audience\n  \
             --> deputy.yaml\n  help: did you mean `https://enterprise-ledger.orchestrator.lab/`?\n",
        ),
    ] {
        let output = deputy(&["check", "--set", setting]);
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    let set = "exchange.targets={\"https://enterprise-ledger.orchestrator.lab/\": {path: /2}}";
    assert_eq!(stderr(&deputy(&["check", "--set", set])), "deputy.yaml: fine, 1 endpoint\n");
}

#[test]
fn the_keys_of_sessions_come_from_the_environment() {
    let mut pushed = pushed();
    pushed["sessions"] = json!({"keys_from_environment": ["LONG", "SHORT", "NONE"]});
    let text = pushed.to_string();
    let environment = |name: &str| match name {
        "LONG" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "SHORT" => Some("0123456789abcdef0123456789abcde".to_owned()),
        _ => None,
    };
    assert_eq!(
        Config::parse(text.as_bytes(), &environment).unwrap_err().to_string(),
        "\
sessions.keys_from_environment[1]: `SHORT` is shorter than 32 bytes; help: make one with `openssl rand -base64 32`
sessions.keys_from_environment[2]: `NONE` is not set in the environment; help: set it in Envoy's environment, and let `deputy render` name it in `filter.yaml`"
    );
    // Who checks a configuration need not have its secrets.
    Config::from_value(pushed).unwrap();
}

#[test]
fn what_is_odd_is_a_warning() {
    let mut pushed = pushed();
    pushed["policies"]["other"] = pushed["policies"]["enterprise-ledger"].clone();
    pushed["issuers"][0]["jwks"]["keys"][1]["kty"] = json!("oct");
    pushed["protected_resource"]["authorization_servers"] =
        json!(["http://127.0.0.1:9400", "https://login.example.com"]);
    let warnings = Config::from_value(pushed).unwrap().warnings;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "issuers[0].jwks.keys[1]: key skipped: keys[1] (kid `sample-es256`): symmetric keys are not supported",
            "protected_resource.authorization_servers[1]: `https://login.example.com` is none of `issuers`: its tokens are refused",
            "policies.other: no endpoint uses this policy"
        ]
    );
}

#[test]
fn what_would_never_work_or_be_cut_short_is_refused() {
    for (set, told) in [
        ("issuers[0].audiences=[\"\"]", "issuers[0].audiences[0]: `` is not an audience"),
        ("issuers[0].audiences=[\"a b\"]", "issuers[0].audiences[0]: `a b` is not an audience"),
        ("issuers[0].leeway=500ms", "issuers[0].leeway: `500ms` is not a number of whole seconds"),
        (
            "issuers[0].max_lifetime=90500ms",
            "issuers[0].max_lifetime: `90500ms` is not a number of whole seconds",
        ),
        (
            "protected_resource.resource=https://gateway.example.com:443/mcp",
            "protected_resource.resource: `https://gateway.example.com:443/mcp` names the default port, which clients leave out\n  --> deputy.yaml\n  help: write `https://gateway.example.com/mcp`",
        ),
        (
            "protected_resource.resource=http://gateway.example.com:80",
            "protected_resource.resource: `http://gateway.example.com:80` names the default port, which clients leave out\n  --> deputy.yaml\n  help: write `http://gateway.example.com`",
        ),
        (
            "allowed_origins=[\"https://app.example.com:443\"]",
            "allowed_origins[0]: no browser names its default port in an origin\n  --> deputy.yaml\n  help: write `https://app.example.com`",
        ),
        (
            "allowed_origins=[\"http://app.example.com:80\"]",
            "allowed_origins[0]: no browser names its default port in an origin\n  --> deputy.yaml\n  help: write `http://app.example.com`",
        ),
        ("envoy.filter=..", "envoy.filter: not the name of a file"),
        ("envoy.filter=/x/..", "envoy.filter: not the name of a file"),
        ("envoy.wasm=/x/.", "envoy.wasm: not the name of a file"),
        ("issuers[0].jwks={keys: []}", "issuers[0].jwks: this set has no keys\n"),
    ] {
        let whole = "issuers[0]={issuer: \"http://127.0.0.1:9400\", jwks: {keys: []}}";
        let more = if set.contains("jwks=") { ["--set", whole].to_vec() } else { Vec::new() };
        let output = deputy(&[&["check"][..], &more, &["--set", set]].concat());
        let expected = format!("error: {told}");
        assert!(stderr(&output).contains(&expected), "{set}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
    let others = "allowed_origins=[\"https://a.example:80\", \"http://a.example:443\"]";
    assert_eq!(deputy(&["check", "--set", others]).status.code(), Some(0));
}

#[test]
fn what_is_sound_and_can_never_work_is_warned_of() {
    let rule = |condition: &str| {
        format!(
            "policies={{enterprise-ledger: {{audience: \"https://a.example/\", baseline: without_token, \
             tools: {{read: {{require: {{claims: {{iss: {condition}}}}}, delegation: {{scope: a}}}}}}}}}}"
        )
    };
    let claims = "policies.enterprise-ledger.tools.read.require.claims.iss: unknown issuer `http://127.0.0.1:9401`";
    for (set, told) in [
        (
            "issuers[0].algorithms=[ES384]".to_owned(),
            "issuers[0].algorithms: no key of `jwks` is for any of these",
        ),
        (
            "issuers[0].scope_claims=[]".to_owned(),
            "issuers[0].scope_claims: whom this issuer knows has no scope",
        ),
        (rule("{equals: \"http://127.0.0.1:9401\"}"), claims),
        (rule("{in: [\"http://127.0.0.1:9400\", \"http://127.0.0.1:9401\"]}"), claims),
        (
            "envoy.clusters.spare=127.0.0.1:1".to_owned(),
            "envoy.clusters.spare: nothing uses this cluster",
        ),
    ] {
        let output = deputy(&["check", "--set", &set]);
        assert!(stderr(&output).contains(&format!("warning: {told}\n")), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    let output = deputy(&["check", "--set", &rule("{equals: \"http://127.0.0.1:9401\"}")]);
    assert!(stderr(&output).contains("  help: did you mean `http://127.0.0.1:9400`?\n"));
    let output = deputy(&["check", "--set", &rule("{equals: \"http://127.0.0.1:9400\"}")]);
    assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
}
