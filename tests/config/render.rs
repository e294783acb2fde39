//! What is rendered for Envoy.

use std::fs;

use mcp_deputy::config::Config;
use serde_json::{Value, json};

use super::support::{deputy, scratch, stderr, stdout, text};

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

/// What is said of `exchange.targets.a` in the shipped configuration.
const UNUSED_TARGET: &str = "\
warning: exchange.targets.a: no rule delegates to this audience
  --> deputy.yaml
  help: known are `https://enterprise-ledger.orchestrator.lab/`
";

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
