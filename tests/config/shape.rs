//! What is wrong with files and with the shape of what they say.

use std::fs;

use mcp_deputy::config::Config;
use serde_json::{Value, json};

use super::support::{deputy, scratch, stderr, stdout, text};
use super::{POLICY, errors, pushed, yaml};

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
