//! Every configuration that is shipped is sound and fresh, and every mistake in one is reported in
//! words that are fixed here.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::Path;

use mcp_deputy::config::Config;
use serde_json::{Value, json};
use support::{deputy, scratch, stderr, stdout, text};

const POLICY: &str = "policies/enterprise-ledger.yaml";

fn yaml(path: &str) -> Value {
    serde_yaml_ng::from_str(&text(path)).unwrap()
}

/// What the shipped `deputy.yaml` pushes.
fn pushed() -> Value {
    serde_json::from_str(&stdout(&deputy(&["render", "--json"]))).unwrap()
}

fn errors(pushed: Value) -> String {
    Config::from_value(pushed).unwrap_err().to_string()
}

#[test]
fn the_shipped_configuration_is_sound() {
    let output = deputy(&["check"]);
    assert_eq!(stderr(&output), "deputy.yaml: fine, 1 endpoint\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_secret_in_envoys_environment_need_not_be_in_ones_own() {
    for setting in [
        "exchange.actor_token={from_environment: NOT_SET}",
        "exchange.client_authentication={client_secret_post: {from_environment: NOT_SET}}",
    ] {
        let output = deputy(&["check", "--set", setting]);
        assert_eq!(stderr(&output), "deputy.yaml: fine, 1 endpoint\n");
        let output = deputy(&["render", "--json", "--set", setting]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
}

#[test]
fn the_shipped_rendering_is_fresh() {
    let output = deputy(&["render", "--check"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("", Some(0)),
        "run deputy render"
    );
}

#[test]
fn the_shipped_schemas_are_fresh() {
    for name in ["config", "source", "policy", "cases"] {
        let fresh =
            stdout(&deputy(&["schema", name])) == text(&format!("schema/{name}.schema.json"));
        assert!(fresh, "run deputy schema {name} > schema/{name}.schema.json");
    }
}

#[test]
fn every_policy_that_is_shipped_compiles() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".yaml");
        if stem.is_some_and(|stem| Path::new(stem).extension().is_none_or(|kind| kind != "test")) {
            let mut pushed = pushed();
            pushed["policies"] = json!({"it": yaml(&format!("policies/{name}"))});
            pushed["endpoints"][0]["policy"] = json!("it");
            Config::from_value(pushed).unwrap();
        }
    }
}

#[test]
fn a_bad_policy_is_refused_with_every_error() {
    let mut pushed = pushed();
    pushed["policies"]["enterprise-ledger"] = yaml("policies/bad/enterprise-ledger.yaml");
    assert_eq!(
        errors(pushed),
        "\
policies.enterprise-ledger.audience: `https://enterprise-ledger.orchestrator.lab/ and others` is not an audience
policies.enterprise-ledger.lifetime: `1500ms` is not a token lifetime; help: tokens count whole seconds, so write at least `1s`
policies.enterprise-ledger.baseline.delegation.scope: `ledger:Connect ledger:Ping` is not a scope; help: a delegation has exactly one scope, without spaces (RFC 6749 section 3.3)
policies.enterprise-ledger.tools.getAccount.delegation.lifetime: `0s` is not a token lifetime; help: tokens count whole seconds, so write at least `1s`
policies.enterprise-ledger.tools.getAuditLog.require.scopes[1]: unknown scope `compliance`; help: known are `audit:read`, `mcp:connect`, `pii:read`
policies.enterprise-ledger.tools.getCustomerPII.require.scopes[0]: unknown scope `pii:reed`; help: did you mean `pii:read`?
policies.enterprise-ledger.tools.getTransactions.message: the message is empty, too long or has control characters; help: write one plain sentence of at most 1000 bytes
policies.enterprise-ledger.tools.getTransactions.delegation.audience: `` is not an audience
policies.enterprise-ledger.tools.list accounts: `list accounts` is not a tool name; help: a name has 1 to 128 letters, digits, `_`, `-` and `.`; what ends with `*` stands for all that begin so"
    );
}

#[test]
fn only_a_call_of_a_tool_can_be_bound_to() {
    let mut pushed = pushed();
    let policy = &mut pushed["policies"]["enterprise-ledger"];
    let delegation = json!({"scope": "a", "authorization_details": {"type": "t"}});
    policy["baseline"] = json!({"delegation": delegation});
    policy["prompts"] = json!({"brief": {"delegation": delegation}});
    let problem = "delegation.authorization_details: not possible here; help: only a call of a tool can be bound to";
    assert_eq!(
        errors(pushed),
        format!(
            "policies.enterprise-ledger.baseline.{problem}\npolicies.enterprise-ledger.prompts.brief.{problem}"
        )
    );
}

#[test]
fn errors_of_shape_in_one_rule_hide_none_of_meaning_in_another() {
    let mut pushed = pushed();
    let tools = &mut pushed["policies"]["enterprise-ledger"]["tools"];
    tools["getAccount"] =
        json!({"requires": {"scopes": []}, "delegation": {"scope": 1, "audience": ""}});
    tools["getAuditLog"]["require"]["scopes"] = json!(["audit:reed"]);
    tools["list accounts"] = json!({"delegation": {"scope": "a"}});
    assert_eq!(
        errors(pushed.clone()),
        "\
policies.enterprise-ledger.tools.getAccount.delegation.scope: invalid type: integer `1`, expected a string
policies.enterprise-ledger.tools.getAccount.requires: unknown field `requires`; help: did you mean `require`?
policies.enterprise-ledger.tools.getAuditLog.require.scopes[0]: unknown scope `audit:reed`; help: did you mean `audit:read`?
policies.enterprise-ledger.tools.list accounts: `list accounts` is not a tool name; help: a name has 1 to 128 letters, digits, `_`, `-` and `.`; what ends with `*` stands for all that begin so"
    );
    // What stands in for an audience could bring about anything.
    pushed["policies"]["enterprise-ledger"]["audience"] = json!(1);
    assert!(!errors(pushed).contains("audit:reed"));
}

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

/// What is wrong with the shape of all files comes at once, then what is wrong with what they say.
#[test]
fn a_bad_source_is_refused_with_every_error() {
    for name in ["misshapen_bad", "deputy_bad"] {
        let output = deputy(&["check", "--config", &format!("tests/config/{name}.yaml")]);
        assert_eq!(stderr(&output), text(&format!("tests/config/{name}.stderr")), "{name}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_program_gets_the_same_errors_as_json() {
    let path = "protected_resource.resource=mcp";
    let output = deputy(&["check", "--format", "json", "--set", path]);
    assert_eq!(output.status.code(), Some(2));
    let error = json!({
        "file": "deputy.yaml",
        "path": "protected_resource.resource",
        "message": "`mcp` is not an http or https URL without query and fragment",
        "help": "write it like `https://gateway.example.com/mcp`, scheme and host in lower case"
    });
    let all: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(all, json!({"errors": [error], "warnings": []}));

    let output = deputy(&["diff", ".", "tests/config/deputy_bad.yaml", "--format", "json"]);
    assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(2)));
    let all: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(all["errors"][0]["file"], "tests/config/deputy_bad.yaml");
}

#[test]
fn usage_and_files_fail_with_one() {
    for arguments in [
        &["chek"][..],
        &["check", "--config", "no-such-file.yaml"],
        &["check", "--set", "limits"],
        &["check", "--set", "issuers[7].issuer=x"],
        &["check", "--set", "policies.enterprise-ledger.lifetime=9s"],
        &["render", "--check", "--json"],
    ] {
        assert_eq!(deputy(arguments).status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_file_that_is_not_yaml_is_reported_with_its_line_and_column() {
    let file = scratch("syntax").join("deputy.yaml");
    let path = file.display();
    for (text, message) in [
        ("endpoints: [\n", "2:1: did not find expected node content"),
        ("limits: {}\nlimits: {}\n", "2:1: the key `limits` stands twice"),
        ("- 1\n", " the document is not an object"),
        ("# nothing\n", " the document is empty"),
    ] {
        fs::write(&file, text).unwrap();
        let output = deputy(&["check", "--config", &path.to_string()]);
        let place = if message.starts_with(' ') { String::new() } else { format!(" {path}:") };
        assert_eq!(
            stderr(&output),
            format!("error:{place}{message}\n  --> {path}\n{path}: 1 error\n")
        );
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn what_is_wrong_with_yaml_is_told_with_its_place() {
    let directory = scratch("places");
    let file = directory.join("deputy.yaml");
    let head = "endpoints:\n  - path: /mcp\n    policy: ledger\n";
    for (bytes, place) in [
        (
            format!("{head}    path: /mcp\n").into_bytes(),
            "4:5: endpoints[0]: the key `path` stands twice",
        ),
        (
            format!("{head}limits:\n  a: 1\nendpoints: []\n").into_bytes(),
            "6:1: the key `endpoints` stands twice",
        ),
        (format!("{head}limits:\n  ~: 1\n").into_bytes(), "5:3: limits: a key is empty"),
        ([head.as_bytes(), b"# f\xfcr\n"].concat(), "4:4: not UTF-8"),
        (format!("# a\n---\n{head}---\nb: 1\n").into_bytes(), "6:1: a second document begins"),
        (format!("{head}---\tb\n").into_bytes(), "4:1: a second document begins"),
        (format!("{head}...\n# b\nb: 1\n").into_bytes(), "6:1: a second document begins"),
        (
            format!("{head}limits: {{}} # a\u{7}\n").into_bytes(),
            "4:15: YAML forbids the character `\\u{7}`",
        ),
    ] {
        fs::write(&file, &bytes).unwrap();
        let output = deputy(&["check", "--config", file.to_str().unwrap()]);
        let told = format!("error: {}:{place}\n", file.display());
        assert!(stderr(&output).starts_with(&told), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));

        // The same in a policy.
        let policy = directory.join("ledger.yaml");
        fs::write(&policy, &bytes).unwrap();
        let output = deputy(&["check", "--set", &format!("policies={}", directory.display())]);
        let told = format!("error: policies.ledger: {}:{place}\n", policy.display());
        assert!(stderr(&output).contains(&told), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn one_of_several_forms_is_asked_for_in_plain_words() {
    for (set, message) in [
        (
            "policies.enterprise-ledger.baseline={without_token: true}",
            "invalid type: boolean `true`, expected the name alone",
        ),
        (
            "policies.enterprise-ledger.baseline={delegation: {scope: a}, require: {}}",
            "invalid value: object, expected an object with one name",
        ),
        ("policies.enterprise-ledger.baseline=delegation", ", expected the name and a value"),
        ("issuers[0].leeway=5", "expected a duration such as `5s`"),
    ] {
        let policies = format!("policies={}", json!({"enterprise-ledger": yaml(POLICY)}));
        let output = deputy(&["check", "--set", &policies, "--set", set]);
        assert!(stderr(&output).contains(message), "{set}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

/// The filter does not know them, the file does.
#[test]
fn what_a_source_alone_has_is_known_there() {
    for (set, help) in [
        ("envoi={}", "did you mean `envoy`?"),
        ("issuers[0].jwks_fil=x", "did you mean `jwks_file`?"),
        (
            "authorization_server_metadata_fil=x",
            "did you mean `authorization_server_metadata_file`?",
        ),
        ("zzz=1", ", `limits`, `authorization_server_metadata_file`, `envoy`"),
        ("issuers[0].zzz=1", ", `leeway`, `jwks_file`"),
    ] {
        let output = deputy(&["check", "--set", set]);
        let told = stderr(&output);
        let help_line = told.lines().find(|line| line.starts_with("  help: ")).unwrap();
        assert!(help_line.ends_with(help), "{set}: {told}");
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Some editors begin a file with a byte order mark.
#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    // A comment behind it would hide it.
    let marked = |path: &str| {
        let text = text(path);
        let lines = text.lines().skip_while(|line| line.is_empty() || line.starts_with('#'));
        format!("\u{feff}{}\n", lines.collect::<Vec<_>>().join("\n"))
    };
    let directory = scratch("mark");
    for path in ["policies/enterprise-ledger.yaml", "keys/authorization-server.jwks.json"] {
        let file = directory.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, marked(path)).unwrap();
    }
    let file = directory.join("deputy.yaml");
    fs::write(&file, marked("deputy.yaml")).unwrap();
    let output = deputy(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(stderr(&output), format!("{}: fine, 1 endpoint\n", file.display()));
}

#[test]
fn a_value_that_must_be_quoted_is_told_so() {
    for value in ["[::1]:1", "{a", "*"] {
        let output = deputy(&["check", "--set", &format!("envoy.listen={value}")]);
        let told = "help: write a text that begins with `[`, `{` or the like between double quotes";
        assert!(stderr(&output).contains(told), "{value}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(1));
    }
    let output = deputy(&["render", "--json", "--set", "envoy.listen=\"[::1]:1\""]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// An editor must not offer what the tool refuses.
#[test]
fn no_schema_allows_a_name_with_nothing_behind_it() {
    fn nulls(schema: &Value, path: &str, found: &mut Vec<String>) {
        let members = match schema {
            Value::Object(members) => members,
            Value::Array(all) => return all.iter().for_each(|one| nulls(one, path, found)),
            _ => return,
        };
        let is_null = |kind: &Value| kind == "null";
        let kind = members.get("type");
        if kind.is_some_and(|kind| {
            is_null(kind) || kind.as_array().is_some_and(|all| all.iter().any(is_null))
        }) || members.get("default").is_some_and(Value::is_null)
        {
            found.push(path.to_owned());
        }
        for (name, member) in members {
            nulls(member, &format!("{path}/{name}"), found);
        }
    }
    for name in ["config", "source", "policy", "cases"] {
        let schema = serde_json::from_str(&stdout(&deputy(&["schema", name]))).unwrap();
        let mut found = Vec::new();
        nulls(&schema, name, &mut found);
        assert_eq!(found, [""; 0]);
    }
    for set in ["sessions=null", "sessions=", "exchange.actor_token=null"] {
        assert_eq!(deputy(&["check", "--set", set]).status.code(), Some(2), "{set}");
    }
}

#[test]
fn rendering_replaces_what_is_stale_and_nothing_else() {
    let directory = scratch("render");
    let out = directory.to_str().unwrap();
    let render = |more: &[&str]| deputy(&[&["render", "--out", out], more].concat());
    let files = ["envoy.yaml", "filter.yaml"].map(|name| directory.join(name));
    let written = |times: [bool; 2]| {
        let lines = files.iter().zip(times).filter(|(_, written)| *written);
        lines
            .fold(String::new(), |text, (file, _)| text + &format!("{}: written\n", file.display()))
    };

    assert_eq!(render(&["--check"]).status.code(), Some(3));
    assert_eq!(stderr(&render(&[])), written([true, true]));
    assert_eq!(render(&["--check"]).status.code(), Some(0));
    assert_eq!(stderr(&render(&[])), "");

    let name = ["--set", "protected_resource.resource_name=\"Ledger: \\\"A\\\" \\u2028\""];
    let stale = render(&[&["--check"], &name[..]].concat());
    assert_eq!(stale.status.code(), Some(3));
    assert_eq!(
        stderr(&stale),
        format!("error: `{}` is stale\n  help: run `deputy render`\n", files[1].display())
    );
    assert_eq!(stderr(&render(&name)), written([false, true]));

    let filter: Value = serde_yaml_ng::from_str(&fs::read_to_string(&files[1]).unwrap()).unwrap();
    let value = &filter["resources"][0]["typed_config"]["config"]["configuration"]["value"];
    let pushed: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
    assert_eq!(pushed["protected_resource"]["resource_name"], "Ledger: \"A\" \u{2028}");
    Config::from_value(pushed).unwrap();
}

#[test]
fn a_program_gets_what_was_rendered_as_json() {
    let directory = scratch("render-json");
    let out = directory.to_str().unwrap();
    let files = json!([directory.join("envoy.yaml"), directory.join("filter.yaml")]);
    let render = |more: &[&str]| {
        let output = deputy(&[&["render", "--format", "json", "--out", out], more].concat());
        let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
        (printed, output.status.code())
    };
    let stale = json!({"stale": files, "errors": [], "warnings": []});
    assert_eq!(render(&["--check"]), (stale, Some(3)));
    let written = |files: &Value| json!({"written": files, "errors": [], "warnings": []});
    assert_eq!(render(&[]), (written(&files), Some(0)));
    assert_eq!(render(&[]), (written(&json!([])), Some(0)));
    let (wrong, code) = render(&["--set", "protected_resource.resource=mcp"]);
    assert_eq!(wrong["errors"][0]["path"], "protected_resource.resource");
    assert_eq!(code, Some(2));
}

#[test]
fn every_value_can_be_set() {
    let out = scratch("set");
    let output = deputy(&[
        "render",
        "--out",
        out.to_str().unwrap(),
        "--set=issuers[0].issuer=http://127.0.0.1:1",
        "--set=exchange.issuer=http://127.0.0.1:1",
        "--set=envoy.admin=0.0.0.0:2",
        "--set=envoy.secret=/run/secrets/gateway.yaml",
        "--set=envoy.clusters.enterprise_ledger=ledger.example.com:3",
        "--set=limits.body_bytes=1000",
    ]);
    assert!(stderr(&output).contains(
        "warning: envoy.admin: `0.0.0.0:2` can be reached from elsewhere\n  --> deputy.yaml\n"
    ));
    assert!(stderr(&output).contains(
        "warning: envoy.clusters.enterprise_ledger: tokens go to `ledger.example.com:3` in clear"
    ));
    let envoy = fs::read_to_string(out.join("envoy.yaml")).unwrap();
    let envoy: Value = serde_yaml_ng::from_str(&envoy).unwrap();
    let clusters = &envoy["static_resources"]["clusters"];
    assert_eq!(
        (&clusters[0]["type"], &clusters[1]["type"]),
        (&json!("STATIC"), &json!("STRICT_DNS"))
    );
    let listener = &envoy["static_resources"]["listeners"][0];
    assert_eq!(listener["per_connection_buffer_limit_bytes"], 66_536);
    let text = envoy.to_string();
    assert!(text.contains(
        r#"{"path":"/run/secrets/gateway.yaml","watched_directory":{"path":"/run/secrets"}}"#
    ));
}

#[test]
fn tls_is_ended_and_spoken_where_it_is_written() {
    let out = scratch("tls");
    let into = out.to_str().unwrap();
    let render = |more: &[&str]| {
        let output = deputy(&[&["render", "--out", into], more].concat());
        let envoy = fs::read_to_string(out.join("envoy.yaml")).unwrap();
        let envoy: Value = serde_yaml_ng::from_str(&envoy).unwrap();
        (stderr(&output), envoy["static_resources"].clone())
    };
    let (said, resources) = render(&[
        "--set=envoy.listen=0.0.0.0:443",
        "--set=envoy.tls={certificate_chain: /etc/gateway/tls.crt, private_key: /etc/gateway/tls.key}",
        "--set=envoy.clusters.enterprise_ledger=https://ledger.example.com",
        "--set=envoy.clusters.authorization_server=https://login.example.com:8443",
    ]);
    assert!(!said.contains("warning"), "{said}");
    let certificates = &resources["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
        ["common_tls_context"]["tls_certificates"];
    assert_eq!(
        *certificates,
        json!([{
            "certificate_chain": {"filename": "/etc/gateway/tls.crt"},
            "private_key": {"filename": "/etc/gateway/tls.key"},
            "watched_directory": {"path": "/etc/gateway"},
        }])
    );
    for (cluster, name, port) in [(0, "login.example.com", 8443), (1, "ledger.example.com", 443)] {
        let cluster = &resources["clusters"][cluster];
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        let socket = json!({"address": name, "port_value": port});
        assert_eq!(endpoint["address"]["socket_address"], socket);
        let tls = &cluster["transport_socket"]["typed_config"];
        let names = json!([{"san_type": "DNS", "matcher": {"exact": name}}]);
        let validation = json!({
            "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
            "match_typed_subject_alt_names": names,
        });
        assert_eq!(tls["sni"], name);
        assert_eq!(tls["common_tls_context"]["validation_context"], validation);
    }
    let routes = &resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"];
    assert_eq!(
        routes["virtual_hosts"][0]["routes"][0]["route"]["host_rewrite_literal"],
        "ledger.example.com"
    );
    let (said, resources) = render(&["--set=envoy.listen=0.0.0.0:80"]);
    assert!(said.starts_with(
        "warning: envoy.listen: callers' tokens come to `0.0.0.0:80` in clear\n  --> deputy.yaml\n  \
         help: write `tls`, or let what ends TLS reach Envoy on `127.0.0.1`\n"
    ));
    assert!(!resources.to_string().contains("transport_socket"));
    let wrong = deputy(&["check", "--set=envoy.clusters.enterprise_ledger=https://10.0.0.1"]);
    assert!(stderr(&wrong).starts_with(
        "error: envoy.clusters.enterprise_ledger: `https://10.0.0.1` is not a server\n  --> deputy.yaml\n  \
         help: write `https://ledger.example.com`, or without TLS `127.0.0.1:9500`\n"
    ));
}

#[test]
fn what_envoy_would_refuse_is_refused() {
    for (setting, expected) in [
        (
            "envoy.clusters={authorization_server: \"127.0.0.1:1\", enterprise_ledger: \"127.0.0.1:2\", \"\": \"127.0.0.1:3\"}",
            "envoy.clusters.: a cluster needs a name",
        ),
        ("envoy.filter=watched/", "envoy.filter: not the name of a file"),
        ("envoy.wasm=dist/", "envoy.wasm: not the name of a file"),
        ("envoy.filter=watched/envoy.yaml", "envoy.filter: not the name of a file of its own"),
        ("envoy.admin=127.0.0.1:10000", "envoy.admin: clients connect to the same port"),
        ("envoy.admin=0.0.0.0:10000", "envoy.admin: clients connect to the same port"),
    ] {
        let output = deputy(&["check", "--set", setting]);
        let expected = format!("error: {expected}\n  --> deputy.yaml\n");
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
    assert_eq!(deputy(&["check", "--set=envoy.admin=127.0.0.2:10000"]).status.code(), Some(0));
}

#[test]
fn the_filter_is_rendered_under_the_name_that_envoy_watches() {
    let out = scratch("filter-name");
    let set = "--set=envoy.filter=/etc/envoy/watched/ledger.yaml";
    let output = deputy(&["render", "--out", out.to_str().unwrap(), set]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(out.join("ledger.yaml").exists() && !out.join("filter.yaml").exists());
    let output = deputy(&["push", out.to_str().unwrap(), set]);
    assert!(stderr(&output).contains("ledger.yaml: unchanged"), "{}", stderr(&output));
}

#[test]
fn a_secret_for_envoy_is_needed_where_envoy_adds_it() {
    let directory = scratch("no-secret");
    let source = text("deputy.yaml").replace("  secret: keys/gateway-secret.yaml\n", "");
    for file in ["policies/enterprise-ledger.yaml", "keys/authorization-server.jwks.json"] {
        fs::create_dir_all(directory.join(file).parent().unwrap()).unwrap();
        fs::write(directory.join(file), text(file)).unwrap();
    }
    let file = directory.join("deputy.yaml");
    fs::write(&file, source).unwrap();
    let config = file.to_str().unwrap();
    let output = deputy(&["check", "--config", config]);
    let expected = format!(
        "error: envoy: missing field `secret`\n  --> {config}\n  help: Envoy authenticates the \
         gateway where `client_authentication` is `injected`, and must know by what\n"
    );
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    let set = "--set=exchange.client_authentication=none";
    let output = deputy(&["check", "--config", config, set]);
    assert_eq!(stderr(&output), format!("{config}: fine, 1 endpoint\n"));
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

/// What is shipped, with another value there.
fn changed(pointer: &str, value: Value) -> Value {
    let mut pushed = pushed();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    pushed.pointer_mut(parent).unwrap()[name] = value;
    pushed
}

/// A configuration that has another policy, with these members besides.
fn with_policy(members: &Value) -> Value {
    let mut policy = json!({"audience": "https://notes.example/", "baseline": "without_token"});
    let members = members.as_object().unwrap().clone();
    policy.as_object_mut().unwrap().extend(members);
    changed("/policies/notes", policy)
}

fn errors_of_policy(members: &Value) -> String {
    errors(with_policy(members))
}

#[test]
fn what_a_policy_can_never_mean_is_told() {
    let rule = |members: Value| {
        let mut rule = json!({"delegation": {"scope": "notes:Read"}});
        rule.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({"tools": {"read": rule}})
    };
    let names: Vec<String> = (0..101).map(|number| format!("name{number}")).collect();
    for (members, expected) in [
        (json!({"declares": {"prompts": ["a b", "a", "a"]}}), "\
policies.notes.declares.prompts[0]: `a b` is not a prompt name; help: a name has 1 to 128 letters, digits, `_`, `-` and `.`
policies.notes.declares.prompts[2]: `a` is listed twice"),
        (
            json!({"declares": {"tools": ["db_read"]}, "tools": {
                "db_read": {"delegation": {"scope": "a"}}, "db_*": {"delegation": {"scope": "b"}},
            }}),
            "\
policies.notes.tools.db_*: can never be reached; help: each declared tool that begins so has other rules",
        ),
        (
            json!({"methods": {"logging/setLevel": {"delegation": {"scope": "a"}, "redact": ["a"]}}}),
            "\
policies.notes.methods.logging/setLevel.redact: a method has nothing to redact; help: redact in the rules of tools, prompts and resources",
        ),
        (rule(json!({"redact": []})), "\
policies.notes.tools.read.redact: redacts nothing; help: name at least one member, or leave it out"),
        (rule(json!({"redact": names})), "\
policies.notes.tools.read.redact: a rule redacts at most 100 members"),
        (
            rule(json!({"delegation": {"scope": "a", "authorization_details": {"type": ""}}})),
            "\
policies.notes.tools.read.delegation.authorization_details.type: it is empty; help: name a type that the authorization server knows",
        ),
        (rule(json!({"require": {"scopes": [], "claims": {}, "arguments": {}}})), "\
policies.notes.tools.read.require.scopes: says nothing; help: write what must hold, or leave it out
policies.notes.tools.read.require.claims: says nothing; help: write what must hold, or leave it out
policies.notes.tools.read.require.arguments: says nothing; help: write what must hold, or leave it out"),
        (rule(json!({"require": {"any_scope": []}})), "\
policies.notes.tools.read.require.any_scope: can never hold; help: name at least one scope"),
        (rule(json!({"require": {"clients": null, "time": null}, "redact": null})), "\
policies.notes.tools.read.redact: it is empty; help: write a value, or leave the name out too
policies.notes.tools.read.require.clients: it is empty; help: write a value, or leave the name out too
policies.notes.tools.read.require.time: it is empty; help: write a value, or leave the name out too"),
        (
            rule(json!({"require": {"arguments": {"amount": {"max": null}, "Amount": {"max": 1}}}})),
            "\
policies.notes.tools.read.require.arguments.amount: differs from `Amount` by its case alone",
        ),
        (json!({"prompts": {"getUser": {"delegation": {"scope": "a"}}, "GetUser": {"delegation": {"scope": "a"}}}}), "\
policies.notes.prompts.getUser: differs from `GetUser` by its case alone"),
        (rule(json!({"require": {"clients": ["", "cli"]}})), "\
policies.notes.tools.read.require.clients[0]: no client has an empty name"),
        (rule(json!({"require": {"claims": {"n": {"equals": null}}}})), "\
policies.notes.tools.read.require.claims.n.equals: can never hold; help: a claim that is `null` is absent: write `presence: absent`"),
        (rule(json!({"require": {"arguments": {"a": {"min": 1}, "/a": {"max": 2}, "/a/b": {}}}})), "\
policies.notes.tools.read.require.arguments.a: `a` is named twice"),
        (rule(json!({"require": {"claims": {"a/b": {"min": 1}, "/a~1b": {"max": 2}}}})), "\
policies.notes.tools.read.require.claims.a/b: `a/b` is named twice"),
        (rule(json!({"require": {"other_arguments": false}})), "\
policies.notes.tools.read.require.other_arguments: invalid type: boolean `false`, expected one of `allow`, `deny`"),
        (rule(json!({"require": {"time": {"utc_offset": "+01:00"}}})), "\
policies.notes.tools.read.require.time: this condition says nothing"),
        (rule(json!({"require": {"arguments": {"n": {"in": []}}}})), "\
policies.notes.tools.read.require.arguments.n.in: can never hold; help: name at least one value"),
        (
            rule(json!({"require": {"arguments": {"n": {"each": {"presence": "optional", "max": 1}}}}})),
            "\
policies.notes.tools.read.require.arguments.n.each.presence: elements are always there; help: leave it out",
        ),
        (
            rule(json!({"require": {"arguments": {"n": {"equals_claim": "/a/~"}}}})),
            "\
policies.notes.tools.read.require.arguments.n.equals_claim: `/a/~` names no claim; help: write a claim's name, or a JSON Pointer like `/realm_access/roles`",
        ),
        (rule(json!({"require": {"claims": {"n": {"equals_claim": "sub"}}}})), "\
policies.notes.tools.read.require.claims.n.equals_claim: not possible here; help: arguments are compared with claims"),
        (rule(json!({"require": {"arguments": {"n": {"equals": [1]}}}})), "\
policies.notes.tools.read.require.arguments.n.equals: `[1]` is no such value; help: write a string, a number within ±2^53, a boolean or null"),
        (rule(json!({"require": {"arguments": {"n": {"in": [1, 9_007_199_254_740_993_u64]}}}})), "\
policies.notes.tools.read.require.arguments.n.in: `9007199254740993` is no such value; help: write a string, a number within ±2^53, a boolean or null"),
        (rule(json!({"require": {"claims": {"n": {"presence": "optional"}}}})), "\
policies.notes.tools.read.require.claims.n: says nothing; help: write what it must be if it is there, or leave it out"),
        (rule(json!({"require": {"claims": {"n": {"presence": "absent", "max": 1}}}})), "\
policies.notes.tools.read.require.claims.n: can never hold; help: what is absent has no value: leave out the rest"),
        (rule(json!({"require": {"arguments": {"n": {"min_length": 2, "max_length": 1}}}})), "\
policies.notes.tools.read.require.arguments.n: can never hold; help: `2` is more than `1`"),
    ] {
        assert_eq!(errors_of_policy(&members), expected, "{members}");
    }
}

#[test]
fn a_rule_is_never_reached_behind_one_that_holds_whenever_it_does() {
    let is_told = |first: &Value, second: &Value| {
        let rule = |require: &Value| json!({"require": require, "delegation": {"scope": "s"}});
        let tools = json!({"tools": {"read": [rule(first), rule(second)]}});
        let told = Config::from_value(with_policy(&tools)).err().map(|errors| errors.to_string());
        let expected = "policies.notes.tools.read[1]: can never be reached; \
                        help: `notes.tools.read[0]` holds whenever it does, and comes first";
        assert!(told.as_deref().is_none_or(|told| told == expected), "{told:?}");
        told.is_some()
    };
    let office = |until: &str| json!({"time": {"days": ["monday"], "until": until}});
    let only_n = |max: u8| json!({"arguments": {"n": {"max": max}}, "other_arguments": "deny"});
    // Each holds whenever the one after it does, and not the other way round.
    for wider_first in [
        vec![
            json!({"any_scope": ["audit:read", "pii:read"]}),
            json!({"any_scope": ["audit:read"]}),
            json!({"any_scope": ["audit:read"], "clients": ["x"]}),
        ],
        vec![json!({"any_scope": ["audit:read", "pii:read"]}), json!({"scopes": ["audit:read"]})],
        vec![json!({"clients": ["x", "y"]}), json!({"clients": ["y"]})],
        vec![
            json!({"acr_values": ["gold", "silver"]}),
            json!({"acr_values": ["gold"]}),
            json!({"acr_values": ["gold"], "max_age": "5m"}),
        ],
        vec![
            json!({"max_age": "10m"}),
            json!({"max_age": "5m"}),
            json!({"acr_values": ["gold"], "max_age": "5m"}),
        ],
        vec![json!({"claims": {"n": {"max": 5}}}), json!({"claims": {"n": {"max": 4}}})],
        vec![json!({"arguments": {"n": {"max": 5}}}), json!({"arguments": {"n": {"max": 4}}})],
        vec![office("18:00"), office("17:00")],
        vec![json!({"arguments": {"n": {"max": 5}}}), only_n(5), only_n(4)],
    ] {
        for (index, wide) in wider_first.iter().enumerate() {
            for (other, narrow) in wider_first.iter().enumerate() {
                assert_eq!(is_told(wide, narrow), index <= other, "{wide}, then {narrow}");
            }
        }
    }
    for (one, other) in [
        (
            json!({"any_scope": ["audit:read", "pii:read"]}),
            json!({"any_scope": ["pii:read", "mcp:connect"]}),
        ),
        (json!({"clients": ["x"]}), json!({"clients": ["y"]})),
        (json!({"acr_values": ["gold"]}), json!({"max_age": "5m"})),
        (
            json!({"acr_values": ["gold"], "max_age": "10m"}),
            json!({"acr_values": ["silver"], "max_age": "5m"}),
        ),
        (json!({"claims": {"n": {"max": 5}}}), json!({"claims": {"m": {"max": 4}}})),
        (json!({"arguments": {"n": {"max": 5}}}), json!({"claims": {"n": {"max": 4}}})),
    ] {
        assert!(!is_told(&one, &other) && !is_told(&other, &one), "{one}, {other}");
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
fn a_file_that_two_parsers_could_read_differently_is_refused() {
    let file = scratch("strict").join("metadata.json");
    fs::write(&file, r#"{"issuer": "http://127.0.0.1:9400", "issuer": "https://evil.example"}"#)
        .unwrap();
    for setting in ["authorization_server_metadata_file", "issuers[0].jwks_file"] {
        let output = deputy(&["check", &format!("--set={setting}={}", file.display())]);
        let expected = format!("error: {setting}: `{}`: ", file.display());
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
        assert!(stderr(&output).contains("twice"), "{}", stderr(&output));
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
fn envoy_passes_on_the_keys_of_sessions_and_no_other_variable() {
    let out = scratch("sessions");
    let render = |more: &[&str]| {
        let output = deputy(&[&["render", "--out", out.to_str().unwrap()], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let filter = fs::read_to_string(out.join("filter.yaml")).unwrap();
        let filter: Value = serde_yaml_ng::from_str(&filter).unwrap();
        filter["resources"][0]["typed_config"]["config"]["vm_config"].clone()
    };
    assert_eq!(render(&[]).get("environment_variables"), None);
    let vm = render(&["--set", "sessions={keys_from_environment: [KEY, KEY_BEFORE]}"]);
    assert_eq!(vm["environment_variables"], json!({"host_env_keys": ["KEY", "KEY_BEFORE"]}));
    // Envoy refuses a variable that is listed twice.
    let vm = render(&[
        "--set",
        "exchange.client_authentication={client_secret_post: {from_environment: SECRET}}",
        "--set",
        "exchange.actor_token={from_environment: ACTOR}",
        "--set",
        "exchange.targets={\"https://other.example/\": {client_authentication: {client_secret_basic: {from_environment: SECRET}}}}",
    ]);
    assert_eq!(vm["environment_variables"], json!({"host_env_keys": ["ACTOR", "SECRET"]}));
}

#[test]
fn what_the_rendered_envoy_cannot_do_for_credentials_is_a_warning() {
    for (setting, expected) in [
        (
            "exchange.client_authentication=mtls",
            "\
warning: envoy.clusters.authorization_server: no client certificate is rendered, and `mtls` needs one
  --> deputy.yaml
  help: give the cluster one in an Envoy configuration of your own, or authenticate otherwise
",
        ),
        (
            "exchange.targets={a: {authority: login.example, client_authentication: injected}}",
            "\
warning: envoy.secret: the same secret goes to `127.0.0.1:9400` and `login.example`
  --> deputy.yaml
  help: Envoy holds one: let the filter authenticate at the other server
",
        ),
        ("exchange.targets={a: {authority: login.example, client_authentication: none}}", ""),
    ] {
        let output = deputy(&["check", "--set", setting]);
        let said = stderr(&output).replace(UNUSED_TARGET, "");
        let warnings = said.rsplit_once("deputy.yaml: fine").unwrap().0;
        assert_eq!(warnings, expected, "{setting}");
    }
}

/// What is said of `exchange.targets.a` in the shipped configuration.
const UNUSED_TARGET: &str = "\
warning: exchange.targets.a: no rule delegates to this audience
  --> deputy.yaml
  help: known are `https://enterprise-ledger.orchestrator.lab/`
";

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
fn a_policy_that_nothing_uses_is_still_checked() {
    let mut pushed = pushed();
    pushed["policies"]["other"] = pushed["policies"]["enterprise-ledger"].clone();
    pushed["policies"]["other"]["lifetime"] = json!("0s");
    assert!(errors(pushed).starts_with("policies.other.lifetime: `0s` is not a token lifetime"));
}

#[test]
fn a_policy_whose_file_is_misnamed_is_told() {
    let policies = scratch("misnamed");
    let misnamed = ["more.yml", "more.test.yml", "a.YAML", "b.Yml", "c.json"];
    for name in misnamed.into_iter().chain(["ledger.yaml", "notes.txt"]) {
        fs::write(policies.join(name), "{}").unwrap();
    }
    let output = deputy(&["check", &format!("--set=policies={}", policies.display())]);
    for name in misnamed {
        let message = format!("`{}` is not read\n", policies.join(name).display());
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
    assert!(!stderr(&output).contains("notes.txt"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_policy_may_have_any_name() {
    let policies = scratch("any-name");
    fs::copy("policies/enterprise-ledger.yaml", policies.join("not_bad.yaml")).unwrap();
    let policies = format!("--set=policies={}", policies.display());
    let output = deputy(&["check", &policies, "--set=endpoints[0].policy=not_bad"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("deputy.yaml: fine, 1 endpoint\n", Some(0))
    );
}

#[test]
fn a_rule_that_is_reached_at_one_endpoint_is_no_mistake_at_another() {
    for order in [[0, 1], [1, 0]] {
        let mut pushed = pushed();
        pushed["policies"]["enterprise-ledger"]["tools"]["read"] = json!([
            {"require": {"scopes": ["pii:read"]}, "delegation": {"scope": "a"}},
            {"redact": ["ssn"], "delegation": {"scope": "a"}},
        ]);
        let endpoints = [
            json!({"path": "/mcp", "policy": "enterprise-ledger"}),
            json!({"path": "/mcp/high", "policy": "enterprise-ledger", "required_scopes": ["pii:read"]}),
        ];
        pushed["endpoints"] = order.map(|index: usize| endpoints[index].clone()).to_vec().into();
        Config::from_value(pushed.clone()).unwrap();
        pushed["endpoints"].as_array_mut().unwrap().retain(|one| one["path"] == "/mcp/high");
        assert!(errors(pushed).contains("tools.read[1]: can never be reached"));
    }
}

/// It would be reached by the calls alone that cannot be bound to, without what binds them.
#[test]
fn a_rule_after_one_that_binds_the_same_calls_is_a_mistake() {
    let mut pushed = pushed();
    let details = json!({"type": "t", "arguments": ["amount"]});
    pushed["policies"]["enterprise-ledger"]["tools"]["pay"] = json!([
        {"delegation": {"scope": "a", "authorization_details": details}},
        {"delegation": {"scope": "a"}},
    ]);
    assert!(errors(pushed).contains("tools.pay[1]: can never be reached"));
}

/// What it takes for sound, the filter takes.
#[test]
fn the_tool_takes_no_configuration_that_the_filter_refuses() {
    let nested = (0..80).fold(json!({"max": 1}), |inner, _| json!({"each": inner}));
    let mut pushed = pushed();
    pushed["policies"]["enterprise-ledger"]["tools"]["read"] =
        json!({"require": {"arguments": {"a": nested}}, "delegation": {"scope": "a"}});
    let told = "the configuration is not strict JSON: the JSON nests too deep";
    assert_eq!(errors(pushed.clone()), told);
    let text = pushed.to_string();
    assert_eq!(Config::parse(text.as_bytes(), &|_| None).unwrap_err().to_string(), told);
}

/// serde reads a struct from a list too, by the order of its fields.
#[test]
fn a_list_is_no_object() {
    let key = json!({"keys": []});
    for (place, list) in [
        ("protected_resource", json!(["http://127.0.0.1:1/mcp", ["http://127.0.0.1:1"], []])),
        ("issuers/0", json!(["http://127.0.0.1:1", key])),
        ("issuers/0/remote_jwks", json!(["keys", "localhost", "/jwks"])),
        ("revoked", json!([[{"issuer": "http://127.0.0.1:9400", "id": "ann"}]])),
        ("revoked", json!({"subjects": [["http://127.0.0.1:9400", "ann"]]})),
        ("endpoints/0", json!(["/mcp", "enterprise-ledger"])),
        ("policies/enterprise-ledger", json!(["https://ledger.example/"])),
        ("policies/enterprise-ledger/declares", json!([["a"]])),
        ("policies/enterprise-ledger/tools/a", json!({"delegation": ["a"]})),
        ("policies/enterprise-ledger/tools/a", json!({"require": [["pii:read"]]})),
        ("policies/enterprise-ledger/tools/a", json!({"require": {"time": [["mon"]]}})),
        ("exchange", json!(["sts", "localhost", "/token"])),
        ("sessions", json!([["KEY"]])),
        ("ignore", json!([["example.com"]])),
        ("limits", json!([65536])),
    ] {
        let mut pushed = pushed();
        let (around, name) = place.rsplit_once('/').unwrap_or(("", place));
        let around = if around.is_empty() { String::new() } else { format!("/{around}") };
        match pushed.pointer_mut(&around).unwrap() {
            Value::Array(all) => all[name.parse::<usize>().unwrap()] = list,
            other => {
                other.as_object_mut().unwrap().insert(name.to_owned(), list);
            }
        }
        let told = errors(pushed);
        assert!(told.contains("invalid type: list, expected "), "{place}: {told}");
    }
    for set in ["limits=[65536]", "envoy=[\"127.0.0.1:1\"]", "envoy.tls=[/tls/chain.pem, /tls/key]"]
    {
        let output = deputy(&["check", "--set", set]);
        let told = "invalid type: list, expected an object";
        assert!(stderr(&output).contains(told), "{set}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

/// Whoever believed it would take out the rule that is right.
#[test]
fn a_slip_in_one_rule_makes_no_other_unreachable() {
    for (require, slip) in [
        (json!({"scopes": ["pii:reed"]}), "scopes[0]: unknown scope `pii:reed`"),
        (json!({"any_scope": ["pii:reed"]}), "any_scope[0]: unknown scope `pii:reed`"),
        (json!({"clams": {"group": {"equals": "a"}}}), "clams: unknown field `clams`"),
        (json!({"claims": {"group": {"equal": "a"}}}), "claims.group.equal: unknown field `equal`"),
    ] {
        let mut pushed = pushed();
        pushed["policies"]["enterprise-ledger"]["tools"]["read"] = json!([
            {"require": require, "delegation": {"scope": "a"}},
            {"delegation": {"scope": "b"}},
        ]);
        let told = errors(pushed);
        let path = "policies.enterprise-ledger.tools.read[0].require.";
        assert!(told.starts_with(&format!("{path}{slip}")), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
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

/// Whoever starts from the page gets no error, and no warning.
#[test]
fn the_first_configuration_of_the_page_is_sound() {
    let page = text("docs/start.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).collect();
    let block = |index: usize| blocks[index].split("```").next().unwrap();
    let directory = scratch("start");
    for name in ["policies", "keys"] {
        fs::create_dir(directory.join(name)).unwrap();
    }
    fs::copy("keys/authorization-server.jwks.json", directory.join("keys/login.jwks.json"))
        .unwrap();
    fs::write(directory.join("policies/notes.yaml"), block(1)).unwrap();
    let file = directory.join("deputy.yaml");
    fs::write(&file, block(0)).unwrap();
    let check = |more: &[&str]| {
        let output = deputy(&[&["check", "--config", file.to_str().unwrap()], more].concat());
        assert_eq!(stderr(&output), format!("{}: fine, 1 endpoint\n", file.display()));
    };
    check(&[]);
    let secret: Value = serde_yaml_ng::from_str(block(2)).unwrap();
    let rendered = text("envoy.yaml");
    assert!(
        rendered.contains(&format!("name: {}", secret["resources"][0]["name"].as_str().unwrap()))
    );
    let more: Value = serde_yaml_ng::from_str(block(3)).unwrap();
    let documentation = &more["protected_resource"]["resource_documentation"];
    let mut sets = vec![
        format!("protected_resource.resource_documentation={documentation}"),
        format!("ignore={}", more["ignore"]),
    ];
    let envoy = more["envoy"].as_object().unwrap().iter();
    sets.extend(envoy.map(|(name, value)| format!("envoy.{name}={value}")));
    check(&sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>());
}
