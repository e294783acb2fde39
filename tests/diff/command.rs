//! The command, on the shipped configuration and changes of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process};

use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn diff(arguments: &[&str]) -> (String, Option<i32>) {
    let Output { stdout, stderr, status } = Command::new(env!("CARGO_BIN_EXE_deputy"))
        .arg("diff")
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .unwrap();
    (String::from_utf8([stdout, stderr].concat()).unwrap(), status.code())
}

/// The shipped configuration, changed, in a directory of its own.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str, changes: &[(&str, &str, &str)]) -> Self {
        let directory = env::temp_dir().join(format!("deputy-diff-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&directory);
        for file in [
            "deputy.yaml",
            "policies/enterprise-ledger.yaml",
            "keys/authorization-server.jwks.json",
        ] {
            let mut text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
            for (_, old, new) in changes.iter().filter(|(name, ..)| *name == file) {
                assert!(text.contains(old), "{old}");
                text = text.replacen(old, new, 1);
            }
            let path = directory.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What changes from the shipped configuration to this one.
    fn diff(&self) -> (String, Option<i32>) {
        diff(&[".", self.path()])
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SOURCE: &str = "deputy.yaml";
const POLICY: &str = "policies/enterprise-ledger.yaml";

/// getTransactions needs `ledger:ViewTransactions`.
fn scenario(name: &str) -> Copy {
    Copy::new(
        name,
        &[
            (SOURCE, "\"audit:read\"]", "\"audit:read\", \"ledger:ViewTransactions\"]"),
            (
                POLICY,
                "  getTransactions:\n",
                "  getTransactions:\n    require: {scopes: [\"ledger:ViewTransactions\"]}\n",
            ),
        ],
    )
}

#[test]
fn the_shipped_configuration_is_itself() {
    for [old, new] in [[".", "."], [".", SOURCE], [POLICY, POLICY]] {
        assert_eq!(diff(&[old, new]), ("no change in meaning\n".to_owned(), Some(0)));
    }
    let json = diff(&[".", ".", "--format", "json"]).0;
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap(),
        json!({"opens": false, "changes": []})
    );
    let markdown = diff(&[".", ".", "--format", "markdown"]).0;
    assert_eq!(markdown, "**No change in meaning.**\n");
}

#[test]
fn comments_and_order_mean_nothing() {
    let changes = [
        (POLICY, "lifetime: 5s\n", ""),
        (
            POLICY,
            "tools:\n",
            "# The tools.\ntools:\n  getAuditLog:\n    delegation: {scope: \"ledger:ReadAudit\"}\n    message: \"Insufficient privileges: audit log access requires audit:read scope.\"\n    require: {scopes: [\"audit:read\"]}\n",
        ),
        (
            POLICY,
            "  getAuditLog:\n    require: {scopes: [\"audit:read\"]}\n    message: \"Insufficient privileges: audit log access requires audit:read scope.\"\n    delegation: {scope: \"ledger:ReadAudit\"}\n",
            "",
        ),
    ];
    let copy = Copy::new("order", &changes);
    assert_eq!(copy.diff(), ("no change in meaning\n".to_owned(), Some(0)));
}

#[test]
fn the_change_of_the_scenario_is_told_in_a_line() {
    let copy = scenario("scenario");
    let line = "enterprise-ledger.tools.getTransactions: closes for callers without the scope ledger:ViewTransactions\n";
    assert_eq!(
        copy.diff(),
        (
            format!("{line}protected_resource.scopes_supported: ledger:ViewTransactions added\n"),
            Some(11)
        )
    );
    let policy = copy.0.join(POLICY);
    assert_eq!(diff(&[POLICY, policy.to_str().unwrap()]), (line.to_owned(), Some(11)));
    assert_eq!(diff(&[".", copy.path(), "--exit-zero"]).1, Some(0));
    assert_eq!(
        diff(&[copy.path(), "."]),
        (
            "\
enterprise-ledger.tools.getTransactions: opens for callers without the scope ledger:ViewTransactions
protected_resource.scopes_supported: ledger:ViewTransactions removed
"
            .to_owned(),
            Some(10)
        )
    );
}

#[test]
fn the_change_of_the_scenario_as_json_and_as_markdown() {
    let copy = scenario("formats");
    let (text, code) = diff(&[".", copy.path(), "--format", "json"]);
    assert_eq!(
        (serde_json::from_str::<Value>(&text).unwrap(), code),
        (
            json!({
                "opens": false,
                "changes": [
                    {
                        "kind": "closes",
                        "subject": "enterprise-ledger.tools.getTransactions",
                        "text": "closes for callers without the scope ledger:ViewTransactions",
                        "calls": {
                            "with": {"scopes": ["mcp:connect"], "conditions": []},
                            "without": [{"scopes": ["ledger:ViewTransactions"], "conditions": []}],
                        },
                        "endpoints": [],
                    },
                    {
                        "kind": "setting",
                        "subject": "protected_resource.scopes_supported",
                        "text": "ledger:ViewTransactions added",
                        "calls": null,
                        "endpoints": [],
                    },
                ],
            }),
            Some(11)
        )
    );
    assert_eq!(
        diff(&[copy.path(), ".", "--format", "markdown"]),
        (
            r"**Changes in meaning: opens 1, setting 1**

| | where | what |
|---|---|---|
| **opens** | enterprise-ledger.tools.getTransactions | opens for callers without the scope ledger:ViewTransactions |
| setting | protected\_resource.scopes\_supported | ledger:ViewTransactions removed |
"
            .to_owned(),
            Some(10)
        )
    );
}

#[test]
fn the_most_dangerous_comes_first() {
    let copy = Copy::new(
        "severity",
        &[
            (SOURCE, "exchange:", "limits: {body_bytes: 1000}\nexchange:"),
            (SOURCE, "endpoints:", "ignore: [{path_prefix: /health}]\nendpoints:"),
            (
                POLICY,
                "message: \"Access denied: PII access requires pii:read scope.\"",
                "denial: hidden",
            ),
            (POLICY, "ledger:Connect", "ledger:Hello"),
            (POLICY, "  listAccounts:\n    delegation: {scope: \"ledger:ListAccounts\"}\n", ""),
            (POLICY, "  getAccount:", "  get*:"),
            (POLICY, "tools:", "server_requests: [ping, elicitation/create]\ntools:"),
        ],
    );
    assert_eq!(
        copy.diff(),
        (
            "\
enterprise-ledger.server_requests: opens for answers to elicitation/create
enterprise-ledger.tools.get*: opens for every caller
ignore[0].path_prefix: /health added (may open what was closed)
enterprise-ledger.tools.listAccounts: closes for every caller
enterprise-ledger.baseline: delegated as ledger:Hello instead of ledger:Connect
limits.body_bytes: 1000 added
enterprise-ledger.tools.getCustomerPII: denied with hidden instead of step_up \"Access denied: PII access requires pii:read scope.\"
"
            .to_owned(),
            Some(10)
        )
    );
}

#[test]
fn what_an_endpoint_requires_is_told_once_when_it_closes_and_for_each_tool_when_it_opens() {
    let copy = Copy::new(
        "required",
        &[(
            SOURCE,
            "required_scopes: [\"mcp:connect\"]",
            "required_scopes: [\"mcp:connect\", \"pii:read\"]",
        )],
    );
    assert_eq!(
        copy.diff(),
        ("endpoint /mcp: closes for callers without the scope pii:read\n".to_owned(), Some(11))
    );
    let (text, code) = diff(&[copy.path(), "."]);
    let lines: Vec<&str> = text.lines().collect();
    // All that needs no such scope of its own.
    assert_eq!((lines.len(), code), (6, Some(10)));
    assert!(lines.contains(&"endpoint /mcp: opens for callers without the scope pii:read"));
    assert!(!text.contains("getCustomerPII"));
}

#[test]
fn endpoints_that_come_and_go_and_share_a_policy() {
    let copy = Copy::new(
        "endpoints",
        &[
            (
                SOURCE,
                "# One file",
                "  - path: /mcp/two\n    policy: enterprise-ledger\n\n# One file",
            ),
            (
                SOURCE,
                "    /mcp: enterprise_ledger",
                "    /mcp: enterprise_ledger\n    /mcp/two: enterprise_ledger",
            ),
        ],
    );
    let (text, code) = copy.diff();
    assert_eq!(code, Some(10));
    assert!(text.contains("endpoint /mcp/two: opens for every caller\n"), "{text}");
    assert!(
        text.contains(
            "tools.getAuditLog: opens for callers with the scope audit:read (at /mcp/two)\n"
        ),
        "{text}"
    );
    // What closes with the endpoint goes without saying.
    assert_eq!(
        diff(&[copy.path(), "."]),
        (
            "endpoint /mcp/two: closes for every caller\n\
             envoy.routes./mcp/two: enterprise_ledger removed\n"
                .to_owned(),
            Some(11)
        )
    );
}

#[test]
fn whose_tokens_are_believed_may_open() {
    let copy = Copy::new(
        "issuers",
        &[(
            SOURCE,
            "endpoints:",
            "  - issuer: http://127.0.0.1:9401\n    jwks_file: keys/authorization-server.jwks.json\n    algorithms: [ES256]\nendpoints:",
        )],
    );
    assert_eq!(
        copy.diff(),
        (
            "\
issuers[1].algorithms: ES256 added (may open what was closed)
issuers[1].issuer: http://127.0.0.1:9401 added (may open what was closed)
issuers[1].jwks: other keys are believed (may open what was closed)
"
            .to_owned(),
            Some(10)
        )
    );
}

/// A name for people is no door.
#[test]
fn what_the_resource_is_called_opens_nothing() {
    let copy = Copy::new("name", &[(SOURCE, "Enterprise Ledger", "Ledger")]);
    let told = "protected_resource.resource_name: Ledger instead of Enterprise Ledger\n";
    assert_eq!(copy.diff(), (told.to_owned(), Some(11)));
}

/// Text of the policy's goes to a terminal and into a page.
#[test]
fn what_people_write_stays_text() {
    let copy = Copy::new(
        "escapes",
        &[(
            POLICY,
            "  getAccount:\n",
            "  getAccount:\n    require: {clients: [\"a\\e[2J|\\u202e`<b>[x](https://evil.example)\"]}\n",
        )],
    );
    let (text, _) = copy.diff();
    assert!(text.contains("client a\\u{1b}[2J|\\u{202e}`<b>"), "{text}");
    let (markdown, _) = diff(&[copy.path(), ".", "--format", "markdown"]);
    let expected = r"client a\\u{1b}\[2J\|\\u{202e}\`&#60;b&#62;\[x\](https&#58;//evil.example)";
    assert!(markdown.contains(expected), "{markdown}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let file = Path::new(ROOT).join("policies/bad/enterprise-ledger.yaml");
    for (old, new, code, expected) in [
        (".", "no-such-directory", 1, "error: `no-such-directory`: no such file or directory\n"),
        (".", "src", 1, "error: `src/deputy.yaml`: no such file or directory\n"),
        (
            POLICY,
            ".",
            1,
            "error: `policies/enterprise-ledger.yaml` and `.` are not of one kind: one is a policy, the other a configuration\n",
        ),
        (POLICY, file.to_str().unwrap(), 2, "error: policies.enterprise-ledger.audience: "),
        (".", "tests/config/deputy_bad.yaml", 2, "error: "),
    ] {
        let (text, status) = diff(&[old, new]);
        assert_eq!(status, Some(code), "{text}");
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn what_is_revoked_no_longer_may_open() {
    let revoking = |name: &str, ids: &[&str]| {
        let entry = |id: &&str| json!({"issuer": "http://127.0.0.1:9400", "id": id});
        let subjects: Vec<Value> = ids.iter().map(entry).collect();
        let text = format!("policies: policies\nrevoked: {}\n", json!({"subjects": subjects}));
        Copy::new(name, &[(SOURCE, "policies: policies\n", &text)])
    };
    let [one, two] = [revoking("one", &["mallory"]), revoking("two", &["trudy", "mallory"])];
    let trudy = r#"{"id":"trudy","issuer":"http://127.0.0.1:9400"}"#;
    for (old, new, text, code) in [
        (one.path(), two.path(), format!("revoked.subjects: {trudy} added\n"), 11),
        (
            two.path(),
            one.path(),
            format!("revoked.subjects: {trudy} removed (may open what was closed)\n"),
            10,
        ),
    ] {
        assert_eq!(diff(&[old, new]), (text, Some(code)));
    }
}

#[test]
fn what_scopes_imply_is_told_by_what_it_opens() {
    let text = "policies: policies\nimplied_scopes: {\"audit:read\": [\"pii:read\"]}\n";
    let copy = Copy::new("implied", &[(SOURCE, "policies: policies\n", text)]);
    let opens = "enterprise-ledger.tools.getCustomerPII: opens for callers with the scope audit:read but without the scope pii:read\n";
    let setting = "implied_scopes.audit:read: pii:read added\n";
    assert_eq!(copy.diff(), (format!("{opens}{setting}"), Some(10)));
}

#[test]
fn what_an_endpoint_or_an_issuer_takes_by_default_can_open() {
    let endpoint = "  - path: /mcp\n";
    let revisions = |list: &str| format!("  - path: /mcp\n    revisions: [{list}]\n");
    let restricted = revisions("2026-07-28");
    let copy = Copy::new("revisions", &[(SOURCE, endpoint, &restricted)]);
    assert_eq!(
        copy.diff(),
        (
            "endpoints./mcp.revisions: 2025-03-26, 2025-06-18, 2025-11-25 served no more\n"
                .to_owned(),
            Some(11)
        )
    );
    assert_eq!(
        diff(&[copy.path(), "."]),
        (
            "endpoints./mcp.revisions: 2025-03-26, 2025-06-18, 2025-11-25 served too (may open what was closed)\n"
                .to_owned(),
            Some(10)
        )
    );
    let issuer = "  - issuer: http://127.0.0.1:9400\n";
    let algorithms = format!("{issuer}    algorithms: [ES256]\n");
    let copy = Copy::new("algorithms", &[(SOURCE, issuer, &algorithms)]);
    assert_eq!(
        diff(&[copy.path(), "."]),
        ("issuers[0].algorithms: ES256 removed (may open what was closed)\n".to_owned(), Some(10))
    );
}

/// The server's metadata say where clients of 2025-03-26 sign in.
#[test]
fn where_clients_sign_in_may_open() {
    let with = |name: &str, endpoint: &str| {
        let metadata = json!({
            "issuer": "http://127.0.0.1:9400",
            "authorization_endpoint": endpoint,
            "token_endpoint": "http://127.0.0.1:9400/token",
            "response_types_supported": ["code"],
        });
        let text = format!("policies: policies\nauthorization_server_metadata: {metadata}\n");
        Copy::new(name, &[(SOURCE, "policies: policies\n", &text)])
    };
    let [old, new] = ["http://127.0.0.1:9400/authorize", "https://evil.example/authorize"];
    let (before, after) = (with("metadata-old", old), with("metadata-new", new));
    let told = format!(
        "authorization_server_metadata.authorization_endpoint: {new} instead of {old} (may open what was closed)\n"
    );
    assert_eq!(diff(&[before.path(), after.path()]), (told, Some(10)));
}

/// A header that identifies users, and who signs them in.
#[test]
fn what_a_client_may_set_and_where_it_signs_in_may_open() {
    there_and_back(
        "clients",
        &[
            (
                "policies: policies\n",
                "policies: policies\nstrip_request_headers: [x-user]\n",
                ("strip_request_headers: x-user added", false),
                ("strip_request_headers: x-user removed", true),
            ),
            (
                "  authorization_servers: [http://127.0.0.1:9400]\n",
                "  authorization_servers: [http://127.0.0.1:9400, http://127.0.0.1:9401]\n",
                ("protected_resource.authorization_servers: http://127.0.0.1:9401 added", true),
                ("protected_resource.authorization_servers: http://127.0.0.1:9401 removed", false),
            ),
        ],
    );
}

/// What is replaced in the source, by what, and what is told of the way there and back: whether it may
/// open.
type Way<'a> = (&'a str, &'a str, (&'a str, bool), (&'a str, bool));

fn there_and_back(name: &str, ways: &[Way]) {
    for (number, (old, new, there, back)) in ways.iter().enumerate() {
        let copy = Copy::new(&format!("{name}-{number}"), &[(SOURCE, old, new)]);
        for (sides, (text, opens)) in [([".", copy.path()], there), ([copy.path(), "."], back)] {
            let may_open = if *opens { " (may open what was closed)" } else { "" };
            let code = if *opens { 10 } else { 11 };
            assert_eq!(diff(&sides), (format!("{text}{may_open}\n"), Some(code)));
        }
    }
}

/// Who is asked, how the answer is checked, how Envoy listens and where it sends: each way can open, and
/// back to what is safer closes.
#[test]
fn where_tokens_and_calls_go_may_open() {
    let exchange = "  actor: ai-identity-gateway\n";
    let cluster = "    enterprise_ledger: 127.0.0.1:9500\n";
    let ways = [
        (
            "  authority: 127.0.0.1:9400\n",
            "  authority: evil.example\n",
            ("exchange.authority: evil.example instead of 127.0.0.1:9400", true),
            ("exchange.authority: 127.0.0.1:9400 instead of evil.example", true),
        ),
        (
            exchange,
            "  actor: ai-identity-gateway\n  danger_forward_inbound_token: true\n",
            ("exchange.danger_forward_inbound_token: true added", true),
            ("exchange.danger_forward_inbound_token: true removed", false),
        ),
        (
            exchange,
            "  actor: ai-identity-gateway\n  danger_forward_inbound_token: false\n",
            ("exchange.danger_forward_inbound_token: false added", false),
            ("exchange.danger_forward_inbound_token: false removed", false),
        ),
        (
            exchange,
            "  actor: ai-identity-gateway\n  verify: danger_claims_alone\n",
            ("exchange.verify: danger_claims_alone added", true),
            ("exchange.verify: danger_claims_alone removed", false),
        ),
        (
            exchange,
            "  actor: ai-identity-gateway\n  actor_claim: danger_none\n",
            ("exchange.actor_claim: danger_none added", true),
            ("exchange.actor_claim: danger_none removed", false),
        ),
        (
            exchange,
            "  actor: ai-identity-gateway\n  timeout: 3s\n",
            ("exchange.timeout: 3s added", false),
            ("exchange.timeout: 3s removed", false),
        ),
        (
            cluster,
            "    enterprise_ledger: https://ledger.example\n",
            (
                "envoy.clusters.enterprise_ledger: https://ledger.example instead of 127.0.0.1:9500",
                true,
            ),
            (
                "envoy.clusters.enterprise_ledger: 127.0.0.1:9500 instead of https://ledger.example",
                true,
            ),
        ),
        (
            cluster,
            "    enterprise_ledger: 127.0.0.1:9500\n    more: 127.0.0.1:9501\n",
            ("envoy.clusters.more: 127.0.0.1:9501 added", true),
            ("envoy.clusters.more: 127.0.0.1:9501 removed", false),
        ),
        (
            "    /mcp: enterprise_ledger\n",
            "    /mcp: authorization_server\n",
            ("envoy.routes./mcp: authorization_server instead of enterprise_ledger", true),
            ("envoy.routes./mcp: enterprise_ledger instead of authorization_server", true),
        ),
        (
            "  admin: 127.0.0.1:9901\n",
            "  admin: 0.0.0.0:9901\n",
            ("envoy.admin: 0.0.0.0:9901 instead of 127.0.0.1:9901", true),
            ("envoy.admin: 127.0.0.1:9901 instead of 0.0.0.0:9901", true),
        ),
        (
            "  admin: 127.0.0.1:9901\n",
            "",
            ("envoy.admin: 127.0.0.1:9901 removed", false),
            ("envoy.admin: 127.0.0.1:9901 added", true),
        ),
        (
            "  admin: 127.0.0.1:9901\n",
            "  admin: 127.0.0.1:9901\n  trusted_ca: /ca.pem\n",
            ("envoy.trusted_ca: /ca.pem added", true),
            ("envoy.trusted_ca: /ca.pem removed", true),
        ),
    ];
    there_and_back("ways", &ways);
}
