//! `deputy test` and `deputy explain`: what they print of the shipped policy and of one that uses all
//! that rules can say, and with which exit code they end.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::fs;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use support::{deputy, deputy_with, scratch, stderr, stdout, text};

const PAYMENTS: [&str; 2] = ["--config", "tests/decisions/deputy.yaml"];

fn payments(command: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = deputy(&[&[command], &PAYMENTS[..], arguments].concat());
    (stdout(&output), stderr(&output), output.status.code())
}

/// The exit code of `test` on the shipped policy with these cases in place of its own, and what it
/// prints.
fn with_cases(name: &str, cases: &str, more: &[&str]) -> (String, Option<i32>) {
    let file = scratch(name).join("cases.yaml");
    fs::write(&file, cases).unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["test", "--policy", "enterprise-ledger", "--cases", file];
    let output = deputy(&[&arguments, more].concat());
    (stderr(&output).replace(file, "cases.yaml"), output.status.code())
}

fn explain(arguments: &[&str]) -> (String, Option<i32>) {
    let output = deputy(&[&["explain"], arguments].concat());
    assert_eq!(stderr(&output), "");
    (stdout(&output), output.status.code())
}

#[test]
fn the_shipped_policies_decide_as_their_cases_say() {
    let output = deputy(&["test", "--require-coverage"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("30 passed, 0 failed; 7 of 7 rules covered\n", Some(0))
    );
}

#[test]
fn the_cases_of_the_page_pass() {
    let page = text("docs/tool.md");
    let block = page.split("```yaml\n# policies/enterprise-ledger.test.yaml\n").nth(1).unwrap();
    let cases = block.split("```").next().unwrap();
    assert_eq!(with_cases("page", cases, &[]).1, Some(0));
}

#[test]
fn every_form_of_rule_can_be_tested_at_every_endpoint_of_its_policy() {
    let (_, stderr, code) = payments("test", &["--require-coverage"]);
    assert_eq!((stderr.as_str(), code), ("55 passed, 0 failed; 9 of 9 rules covered\n", Some(0)));
}

#[test]
fn a_case_that_fails_says_what_was_expected_and_what_came() {
    let cases = ["--policy", "payments", "--cases", "tests/decisions/failing.test.yaml"];
    let (_, stderr, code) = payments("test", &cases);
    assert_eq!((stderr, code), (text("tests/decisions/failing.stderr"), Some(5)));

    let (stdout, stderr, code) = payments("test", &[&cases[..], &["--format", "json"]].concat());
    assert_eq!((stderr.as_str(), code), ("", Some(5)));
    let results: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&results["passed"], &results["failed"]), (&json!(0), &json!(8)));
    let difference = json!({
        "what": "decision",
        "expected": "allow",
        "came": "deny: Access denied: no rule allows the tool secret."
    });
    assert_eq!(
        results["cases"][0],
        json!({
            "file": "tests/decisions/failing.test.yaml",
            "case": "cases[0]",
            "given": "clerk, tool secret at /mcp",
            "passed": false,
            "differences": [difference]
        })
    );
    let baseline = json!({"rule": "payments.baseline", "held": 0, "failed": 0, "covered": false});
    assert_eq!(results["coverage"][0], baseline);
}

#[test]
fn bad_cases_are_refused_with_every_error() {
    for (file, printed) in [
        (
            "policies/bad/enterprise-ledger.test.yaml",
            "tests/decisions/enterprise-ledger_bad.stderr",
        ),
        ("tests/decisions/misshapen_bad.test.yaml", "tests/decisions/misshapen_bad.stderr"),
    ] {
        let output = deputy(&["test", "--policy", "enterprise-ledger", "--cases", file]);
        assert_eq!((stderr(&output), output.status.code()), (text(printed), Some(2)));
    }
}

#[test]
fn a_program_gets_the_errors_in_cases_as_json() {
    let file = scratch("json-errors").join("cases.yaml");
    fs::write(&file, "callers: {}\ncases: [{given: {caller: a, tool: b}, expect: allow}]\n")
        .unwrap();
    let cases = ["--policy", "enterprise-ledger", "--cases", file.to_str().unwrap()];
    let output = deputy(&[&["test", "--format", "json"], &cases[..]].concat());
    assert_eq!((stderr(&output).as_str(), output.status.code()), ("", Some(2)));
    let errors: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let error = json!({
        "file": file,
        "path": "cases[0].given.caller",
        "message": "unknown caller `a`",
        "help": null
    });
    assert_eq!(errors, json!({"errors": [error], "warnings": []}));
}

#[test]
fn rules_without_a_case_are_told_and_can_be_made_a_failure() {
    let cases = "\
callers: {john: {scopes: [\"mcp:connect\"]}, nobody: {}}
cases:
  - {given: {caller: [john, nobody], tool: getAccount, arguments: {id: 1}}, expect: allow}
";
    let expected = "\
failed: cases[0]: nobody, tool getAccount {\"id\":1}
  --> cases.yaml
  decision: expected \"allow\", came \"deny: Access denied: getAccount requires the scope mcp:connect.\"
";
    let (printed, code) = with_cases("uncovered", cases, &[]);
    assert!(printed.starts_with(expected), "{printed}");
    assert_eq!(code, Some(5));

    let cases = cases.replace("[john, nobody]", "john");
    let expected = "\
uncovered: enterprise-ledger.baseline: no case tries it
uncovered: enterprise-ledger.tools.getAccount: no case fails it
uncovered: enterprise-ledger.tools.getAuditLog: no case tries it
uncovered: enterprise-ledger.tools.getCustomerPII: no case tries it
uncovered: enterprise-ledger.tools.getTransactions: no case tries it
uncovered: enterprise-ledger.tools.listAccounts: no case tries it
uncovered: enterprise-ledger.tools.updateAccountStatus: no case tries it
1 passed, 0 failed; 0 of 7 rules covered
";
    assert_eq!(with_cases("told", &cases, &[]), (expected.to_owned(), Some(0)));
    let required = with_cases("required", &cases, &["--require-coverage"]);
    assert_eq!(required, (expected.to_owned(), Some(5)));
}

#[test]
fn cases_that_change_with_the_time_must_say_when() {
    let expected = "\
error: at: what becomes of the cases changes with the time
  --> cases.yaml
  help: write when the calls come, like `at: 2026-11-23T09:00:00Z`
";
    let john =
        "callers: {john: {scopes: [\"mcp:connect\"], auth_time: \"2026-11-23T09:00:00Z\"}}\n";
    let case = |given: &str| {
        format!(
            "{john}cases: [{{given: {{caller: john, tool: getAccount{given}}}, expect: allow}}]\n"
        )
    };
    assert_eq!(with_cases("when", &case(""), &[]), (expected.to_owned(), Some(2)));
    assert_eq!(with_cases("then", &case(", at: \"2026-11-23T09:00:00Z\""), &[]).1, Some(0));

    let cases = text("tests/decisions/policies/payments.test.yaml").replace("\nat: ", "\n# ");
    let cases = cases.replace("auth_time: \"2026-11-23T08:00:00Z\"", "auth_age: 1h");
    let file = scratch("time").join("cases.yaml");
    fs::write(&file, cases).unwrap();
    let file = file.to_str().unwrap();
    let (_, printed, code) = payments("test", &["--policy", "payments", "--cases", file]);
    assert_eq!((printed.replace(file, "cases.yaml").as_str(), code), (expected, Some(2)));
}

/// Nobody may take silence for success.
#[test]
fn no_cases_at_all_are_no_success() {
    for (cases, code) in [("callers: {}\n", 1), ("", 2), ("cases: {}\n", 2)] {
        assert_eq!(with_cases("none", cases, &[]).1, Some(code), "{cases:?}");
    }
    let file = scratch("no-cases").join("cases.yaml");
    fs::write(&file, "callers: {}\n").unwrap();
    let arguments = ["test", "--policy", "enterprise-ledger", "--cases", file.to_str().unwrap()];
    let output = deputy(&[&arguments[..], &["--format", "json"]].concat());
    let results: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&results["cases"], output.status.code()), (&json!([]), Some(1)));
    let missing = ["test", "--policy", "enterprise-ledger", "--cases", "no-such-file.yaml"];
    assert_eq!(deputy(&missing).status.code(), Some(1));
    let unknown = deputy(&["test", "--policy", "enterprise-leger"]);
    assert_eq!(
        (stderr(&unknown).as_str(), unknown.status.code()),
        (
            "error: unknown policy `enterprise-leger`\n  help: did you mean `enterprise-ledger`?\n",
            Some(1)
        )
    );
}

#[test]
fn cases_that_no_policy_is_judged_by_are_a_mistake() {
    let directory = scratch("misnamed");
    for name in ["enterprise-ledger.yaml", "enterprise-ledger.test.yaml"] {
        fs::write(directory.join(name), text(&format!("policies/{name}"))).unwrap();
    }
    let misnamed = directory.join("enterprise-leger.test.yaml");
    fs::write(&misnamed, "callers: {}\n").unwrap();
    let policies = format!("policies={}", directory.display());
    let output = deputy(&["test", "--set", &policies]);
    assert_eq!(
        stderr(&output),
        format!(
            "error: there is no policy `enterprise-leger`\n  --> {}\n  help: did you mean `enterprise-ledger`?\n",
            misnamed.display()
        )
    );
    assert_eq!(output.status.code(), Some(2));
    fs::remove_file(misnamed).unwrap();
    assert_eq!(deputy(&["test", "--set", &policies]).status.code(), Some(0));
}

#[test]
fn a_denial_is_explained_with_what_would_help_and_the_very_answer() {
    let explained = explain(&["--tool", "getCustomerPII", "--caller", "john"]);
    let expected = r#"denied: john.mcclane@orchestrator.lab, tool getCustomerPII at /mcp
  message   Access denied: PII access requires pii:read scope.
  reason    insufficient_scope
  rule      enterprise-ledger.tools.getCustomerPII

The rules that were tried, in order:
  enterprise-ledger.tools.getCustomerPII: fails
    fails  the scopes mcp:connect pii:read; has mcp:connect

What would help:
  ask for the scopes mcp:connect pii:read

What the client gets:
  HTTP 403
  content-type: application/json
  cache-control: no-store
  x-content-type-options: nosniff
  www-authenticate: Bearer error="insufficient_scope", scope="mcp:connect pii:read", resource_metadata="http://127.0.0.1:10000/.well-known/oauth-protected-resource/mcp"

  {"error":{"code":403,"message":"Access denied: PII access requires pii:read scope."},"id":1,"jsonrpc":"2.0"}
"#;
    assert_eq!(explained, (expected.to_owned(), Some(4)));
}

#[test]
fn what_a_scope_implies_is_explained() {
    let (printed, code) = explain(&[
        "--set",
        "implied_scopes={\"audit:read\": [\"pii:read\", \"mcp:connect\"]}",
        "--tool",
        "getCustomerPII",
        "--scope",
        "audit:read",
    ]);
    assert!(printed.contains("has audit:read, which implies mcp:connect pii:read\n"), "{printed}");
    assert_eq!(code, Some(0));
}

#[test]
fn who_is_revoked_is_told_so() {
    let revoked = "revoked.subjects=[{issuer: \"http://127.0.0.1:9400\", id: somebody}]";
    let output = deputy(&["explain", "--set", revoked, "--tool", "listAccounts"]);
    let told =
        "error: no such token is accepted: the token, or what it is issued for, is revoked\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (told, Some(4)));
}

/// A claim that an option says, or that the tool makes, is no claim to write.
#[test]
fn no_claim_is_overwritten_in_silence() {
    for (claim, help) in [
        ("sub=ann", "write it as `subject`, on the command line as `--subject`"),
        ("iss=x", "write it as `issuer`, on the command line as `--issuer`"),
        ("aud=x", "leave it out: it is made as the issuer's tokens have it"),
        ("iat=1", "leave it out: it is made as the issuer's tokens have it"),
        ("exp=1", "leave it out: it is made as the issuer's tokens have it"),
    ] {
        let output = deputy(&["explain", "--tool", "listAccounts", "--claim", claim]);
        let name = claim.split('=').next().unwrap();
        let told = format!(
            "error: caller.claims.{name}: `{name}` is not for `claims` to say\n  help: {help}\n"
        );
        assert_eq!((stderr(&output), output.status.code()), (told, Some(1)));
    }
    for (option, claim) in [
        (["--client", "a"], "client_id=b"),
        (["--scope", "mcp:connect"], "scope=pii:read"),
        (["--acr", "1"], "acr=2"),
        (["--auth-age", "1m"], "auth_time=1"),
    ] {
        let arguments = [&["explain", "--tool", "listAccounts", "--claim", claim][..], &option];
        let output = deputy(&arguments.concat());
        assert!(stderr(&output).contains("is said twice"), "{claim}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(1));
    }
    let claims = ["explain", "--tool", "listAccounts", "--claim", "x=1", "--claim", "x=2"];
    let output = deputy(&claims);
    let told = "error: --claim: `x` is said twice\n  help: leave out one of the two\n".to_owned();
    assert_eq!((stderr(&output), output.status.code()), (told, Some(1)));
    let cases = "\
callers: {john: {scopes: [\"mcp:connect\"], claims: {sub: ann}}}
cases: [{given: {caller: john, tool: getAccount}, expect: allow}]
";
    let (printed, code) = with_cases("claims", cases, &[]);
    assert!(printed.starts_with("error: callers.john.claims.sub: "), "{printed}");
    assert_eq!(code, Some(2));
}

/// Each issuer's tokens have their own claims.
#[test]
fn a_caller_of_another_issuer_than_the_first_can_be_described() {
    let other = "issuers=[{issuer: \"https://a.example\", jwks_file: keys/authorization-server.jwks.json}, \
                 {issuer: \"http://127.0.0.1:9400\", jwks_file: keys/authorization-server.jwks.json, profile: okta}]";
    let explain = |more: &[&str]| {
        let arguments =
            ["explain", "--tool", "listAccounts", "--scope", "mcp:connect", "--set", other];
        deputy(&[&arguments[..], more].concat())
    };
    assert_eq!(explain(&[]).status.code(), Some(0));
    let output = explain(&["--issuer", "http://127.0.0.1:9400"]);
    assert!(stderr(&output).contains("none of the claims `cid` is there"), "{}", stderr(&output));
    let output = explain(&["--issuer", "http://127.0.0.1:9401"]);
    let told = "error: caller.issuer: unknown issuer `http://127.0.0.1:9401`\n  help: did you mean `http://127.0.0.1:9400`?\n";
    assert!(stderr(&output).ends_with(told), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn cases_that_are_no_yaml_are_told_alike_by_explain_and_test() {
    let directory = scratch("broken-cases");
    fs::copy("policies/enterprise-ledger.yaml", directory.join("enterprise-ledger.yaml")).unwrap();
    let cases = directory.join("enterprise-ledger.test.yaml");
    fs::write(&cases, "callers: [\n").unwrap();
    let policies = format!("policies={}", directory.display());
    let run = |command: &[&str]| deputy(&[command, &["--set", &policies]].concat());
    let explained = run(&["explain", "--tool", "a", "--caller", "a"]);
    assert!(stderr(&explained).contains(&format!("\n  --> {}\n", cases.display())));
    assert_eq!(explained.status.code(), Some(2));
    assert_eq!(run(&["test"]).status.code(), Some(2));
    let told = stdout(&run(&["explain", "--tool", "a", "--caller", "a", "--format", "json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["errors"][0]["file"], cases.to_str().unwrap());
}

/// Who describes a caller that the filter would send away is told so.
#[test]
fn a_client_is_asked_for_where_tokens_must_name_one() {
    let required = ["--set", "issuers[0].profile=okta"];
    let explain = |more: &[&str]| {
        let arguments = ["explain", "--tool", "listAccounts", "--scope", "mcp:connect"];
        deputy(&[&arguments[..], &required, more].concat())
    };
    let output = explain(&[]);
    let told = "\
error: caller.client: a token without a client is not accepted: none of the claims `cid` is there
  help: name the client, on the command line with `--client`
";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (told, Some(1)));
    assert_eq!(explain(&["--client", "cli"]).status.code(), Some(0));
    assert_eq!(explain(&["--claim", "cid=cli"]).status.code(), Some(0));
}

#[test]
fn what_is_allowed_is_explained_with_its_delegation() {
    let explained = explain(&["--tool", "getCustomerPII", "--caller", "sarah"]);
    let expected = "\
allowed: sarah.connor@orchestrator.lab, tool getCustomerPII at /mcp
  rule      enterprise-ledger.tools.getCustomerPII

The rules that were tried, in order:
  enterprise-ledger.tools.getCustomerPII: holds
    holds  the scopes mcp:connect pii:read; has audit:read mcp:connect pii:read

What goes upstream:
  scope     ledger:ReadPII
  audience  https://enterprise-ledger.orchestrator.lab/
  lifetime  5 seconds at most, may serve for later calls
";
    assert_eq!(explained, (expected.to_owned(), Some(0)));
}

#[test]
fn a_program_gets_the_same_explanation_as_json() {
    let at = ["--at", "2026-11-20T10:00:00Z", "--format", "json"];
    let who = ["--subject", "ann", "--client", "cli", "--scope", "mcp:connect"];
    let (printed, code) = explain(
        &[&["--tool", "getAuditLog", "--arguments", "{\"day\":1}"], &who[..], &at].concat(),
    );
    let message = "Insufficient privileges: audit log access requires audit:read scope.";
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"audit:read mcp:connect\", resource_metadata=\"http://127.0.0.1:10000/.well-known/oauth-protected-resource/mcp\"";
    assert_eq!(code, Some(4));
    assert_eq!(
        serde_json::from_str::<Value>(&printed).unwrap(),
        json!({
            "decision": "deny",
            "policy": "enterprise-ledger",
            "endpoint": "/mcp",
            "call": {"tool": "getAuditLog", "arguments": {"day": 1}},
            "at": "2026-11-20T10:00:00Z",
            "caller": {
                "issuer": "http://127.0.0.1:9400",
                "subject": "ann",
                "client": "cli",
                "scopes": ["mcp:connect"],
                "unverified": false
            },
            "rule": "enterprise-ledger.tools.getAuditLog",
            "reason": "insufficient_scope",
            "message": message,
            "status": 403,
            "step_up": ["audit:read", "mcp:connect"],
            "tried": [{
                "rule": "enterprise-ledger.tools.getAuditLog",
                "holds": false,
                "enforcement": "enforce",
                "requirements": [{
                    "wants": "the scopes audit:read mcp:connect",
                    "has": "mcp:connect",
                    "holds": false
                }]
            }],
            "helps": ["ask for the scopes audit:read mcp:connect"],
            "answer": {
                "status": 403,
                "headers": {
                    "content-type": "application/json",
                    "cache-control": "no-store",
                    "x-content-type-options": "nosniff",
                    "www-authenticate": challenge
                },
                "body": {"jsonrpc": "2.0", "id": 1, "error": {"code": 403, "message": message}}
            }
        })
    );
}

#[test]
fn every_requirement_is_named_with_what_there_is_of_it() {
    let call = ["--tool", "pay", "--arguments", r#"{"amount": 2000, "account": "A-1"}"#];
    let who = ["--scope=pay", "--claim=department=finance", "--claim=account=\"A-1\""];
    let when = ["--endpoint=/mcp", "--acr=gold", "--auth-age=6m", "--at=2026-11-22T09:00:00Z"];
    let (printed, stderr, code) = payments("explain", &[&call, &who[..], &when].concat());
    assert_eq!((stderr.as_str(), code), ("", Some(4)));
    let rules = "
The rules that were tried, in order:
  payments.tools.pay[0]: fails
    holds  the scopes pay; has pay
    holds  the claim `department` must be \"finance\"; has \"finance\"
    holds  the argument `account` must be the caller's claim `account`; has \"A-1\"
    fails  the argument `amount` must be at most 1000; has 2000
    holds  no arguments but account, amount; has account, amount
  payments.tools.pay[1]: fails
    holds  one of the scopes pay pay:all; has pay
    fails  a sign-in of the class gold within the last 300 seconds; has the class gold, 360 seconds ago
    fails  a time on Monday, Tuesday from 08:00 until 18:00 (UTC+01:00); has 2026-11-22T09:00:00Z

What would help:
  that this holds: the argument `amount` must be at most 1000
  that this holds: a sign-in of the class gold within the last 300 seconds, and a time on Monday, Tuesday from 08:00 until 18:00 (UTC+01:00)
";
    assert!(printed.contains(rules), "{printed}");
}

#[test]
fn an_explanation_says_what_the_client_is_not_told() {
    let asked = |more: &[&str]| payments("explain", &[&["--endpoint", "/mcp"], more].concat());
    for (call, code, expected) in [
        (
            ["--tool", "secret", "--caller", "clerk"],
            4,
            "\n  ask for the scopes connect pay report; the client is not told\n",
        ),
        (
            ["--tool", "refund", "--caller", "partner"],
            0,
            "allowed in shadow: partner, tool refund at /mcp\n  enforced  it would be denied: \
             Access denied: refund is not open to this client.\n",
        ),
        (
            ["--tool", "refund", "--caller", "partner"],
            0,
            "\n  nothing that this caller could obtain\n",
        ),
        (["--tool", "recret", "--caller", "clerk"], 4, "\n  did you mean `secret`?\n"),
        (["--tool", "a b", "--caller", "clerk"], 4, "\n  nothing: no rule can have this name\n"),
        (
            ["--method", "tasks/list", "--caller", "clerk"],
            4,
            "\n  nothing: no rule can allow this method\n",
        ),
        (["--method", "ping", "--caller", "clerk"], 0, "\nWhat goes upstream:\n  no token\n"),
        (["--resource", "é", "--caller", "clerk"], 4, "refused: clerk, resource é at /mcp\n"),
    ] {
        let (printed, stderr, ended) = asked(&call);
        assert!(printed.contains(expected), "{call:?}: {printed}");
        assert_eq!((stderr.as_str(), ended), ("", Some(code)), "{call:?}");
    }
}

#[test]
fn a_token_is_read_without_verifying_it_and_never_printed() {
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let token = |issuer: &str| {
        let claims = json!({
            "iss": issuer, "sub": "ann", "aud": "x", "iat": 1, "exp": 2, "scope": "mcp:connect",
        });
        let header = json!({"alg": "ES256", "typ": "at+jwt"});
        format!("{}.{}.c2lnbmF0dXJl", part(header), part(claims))
    };
    let file = scratch("token").join("token");
    let path = file.to_str().unwrap();
    fs::write(&file, format!("{}\n", token("http://127.0.0.1:9400"))).unwrap();
    let output = deputy(&["explain", "--tool", "listAccounts", "--token", path]);
    assert_eq!(
        stderr(&output),
        "warning: the token is read, not verified: its signature, audience and times are not judged\n"
    );
    assert!(stdout(&output).starts_with("allowed: ann, tool listAccounts at /mcp\n"));
    assert_eq!(output.status.code(), Some(0));
    let output = deputy(&["explain", "--tool=ping", "--token", path, "--format=json"]);
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&printed["caller"]["unverified"], stderr(&output).as_str()), (&json!(true), ""));

    for (text, expected) in [
        (
            token("http://127.0.0.1:9401"),
            "unknown issuer `http://127.0.0.1:9401`; known are `http://127.0.0.1:9400`",
        ),
        ("secret".to_owned(), "the token is not a compact JWS"),
    ] {
        fs::write(&file, &text).unwrap();
        let output = deputy(&["explain", "--tool", "listAccounts", "--token", path]);
        assert_eq!(stderr(&output), format!("error: `{path}`: {expected}\n"));
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(1)));
    }
}

/// What is refused whoever signs it, and whenever, is not said to be allowed.
#[test]
fn a_token_that_is_never_accepted_is_refused() {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let okta = json!({
        "iss": "http://127.0.0.1:9400", "sub": "ann", "aud": "x", "iat": 1, "exp": 2,
        "scp": ["mcp:connect"], "cid": "cli",
    });
    let explained = |typ: &str, changes: &Value, more: &[&str]| {
        let mut claims = okta.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({"alg": "ES256", "typ": typ});
        let token = format!("{}.{}.c2lnbmF0dXJl", part(&header), part(&claims));
        let arguments = ["explain", "--token", "-", "--tool", "listAccounts"];
        let profile = ["--set", "issuers[0].profile=okta"];
        deputy_with(&[&arguments[..], &profile, more].concat(), &token)
    };
    assert_eq!(explained("JWT", &json!({}), &[]).status.code(), Some(0));
    for (typ, changes, reason, message) in [
        ("at+jwt+x", json!({}), "wrong_type", "the token is not of an accepted type"),
        ("JWT", json!({"nonce": "n"}), "wrong_type", "the token is not of an accepted type"),
        (
            "JWT",
            json!({"cid": null}),
            "missing_claim",
            "the token names no client; help: the issuer's `client_claims` are `cid`",
        ),
        (
            "JWT",
            json!({"cnf": {"jkt": "x"}}),
            "sender_constrained",
            "the token is bound to a key by `cnf`",
        ),
    ] {
        let output = explained(typ, &changes, &[]);
        let told = format!("error: no such token is accepted: {message}\n");
        assert_eq!(stderr(&output), told.replace("; help", "\n  help"), "{changes}");
        let (message, help) = match message.split_once("; help: ") {
            Some((message, help)) => (message, json!(help)),
            None => (message, json!(null)),
        };
        assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(4)));
        let output = explained(typ, &changes, &["--format", "json"]);
        let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
        let expected = json!({
            "decision": "refuse", "reason": reason, "message": message, "help": help,
        });
        assert_eq!((printed, output.status.code()), (expected, Some(4)));
    }
}

/// What one reads otherwise than another is no call that could be explained.
#[test]
fn arguments_that_the_filter_refuses_are_refused() {
    for arguments in [r#"{"a": 1, "a": 2}"#, r#"{"a": 1, "A": 2}"#, "[1]", "{"] {
        let output = deputy(&["explain", "--tool", "x", "--arguments", arguments]);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
    }
}

#[test]
fn a_method_is_asked_for_in_a_revision_that_the_endpoint_serves() {
    let at = |revisions: &str| {
        let set = format!("--set=endpoints[0].revisions={revisions}");
        let output =
            deputy(&["explain", "--method", "logging/setLevel", "--scope", "mcp:connect", &set]);
        (stdout(&output), output.status.code())
    };
    assert_eq!(at("[2025-11-25, 2026-07-28]").1, Some(0));
    let (said, code) = at("[2026-07-28]");
    assert!(said.contains("unknown method"), "{said}");
    assert_eq!(code, Some(4));
}

#[test]
fn wrong_usage_is_told_from_a_denial() {
    for (arguments, expected) in [
        (
            &["--tool", "x", "--caller", "jhon"][..],
            "unknown caller `jhon`\n  help: did you mean `john`?",
        ),
        (
            &["--tool", "x", "--policy", "ledger"],
            "unknown policy `ledger`\n  help: known are `enterprise-ledger`",
        ),
        (
            &["--tool", "x", "--endpoint", "/mpc"],
            "unknown endpoint `/mpc`\n  help: did you mean `/mcp`?",
        ),
        (
            &["--method", "tools/lst"],
            "unknown method `tools/lst`\n  help: did you mean `tools/list`?",
        ),
        (
            &["--method", "tools/call"],
            "`tools/call` acts on an object\n  help: name the tool, prompt or resource in place of the method",
        ),
        (
            &["--method", "ping", "--arguments", "{}"],
            "--arguments: only tools and prompts have arguments",
        ),
        (
            &["--tool", "x", "--scope", "pii:reed"],
            "caller.scopes[0]: unknown scope `pii:reed`\n  help: did you mean `pii:read`?",
        ),
        (
            &["--tool", "x", "--config", "tests/decisions/deputy.yaml"],
            "there are several endpoints\n  help: name one with `--endpoint`: `/mcp`, `/mcp/signed-in`",
        ),
    ] {
        let output = deputy(&[&["explain"], arguments].concat());
        assert_eq!(stderr(&output), format!("error: {expected}\n"));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
    for arguments in [
        &["explain"][..],
        &["explain", "--tool", "x", "--prompt", "y"],
        &["explain", "--tool", "x", "--caller", "john", "--scope", "mcp:connect"],
        &["explain", "--tool", "x", "--arguments", "[]"],
        &["explain", "--tool", "x", "--auth-age", "5"],
        &["explain", "--tool", "x", "--at", "noon"],
        &["test", "--cases", "policies/enterprise-ledger.test.yaml"],
    ] {
        assert_eq!(deputy(arguments).status.code(), Some(1), "{arguments:?}");
    }
}

/// Outside a session, the filter is done with such a message itself.
#[test]
fn a_message_that_goes_up_in_a_session_alone_is_warned_of() {
    for (method, warned) in [
        ("notifications/cancelled", true),
        ("notifications/progress", true),
        ("notifications/initialized", false),
    ] {
        let output = deputy(&["explain", "--method", method, "--caller", "john"]);
        let told = "warning: outside a session, such a message is answered with 202 and does not go upstream\n";
        assert_eq!(stderr(&output), if warned { told } else { "" }, "{method}");
        assert_eq!(output.status.code(), Some(0));
    }
}

/// The setting that has another policy, with its cases, beside that of the ledger.
fn beside_the_ledger(name: &str, policy: &str, cases: &str) -> String {
    let directory = scratch(name);
    let ledger = text("policies/enterprise-ledger.yaml");
    fs::write(directory.join("enterprise-ledger.yaml"), ledger).unwrap();
    fs::write(directory.join(format!("{name}.yaml")), policy).unwrap();
    fs::write(directory.join(format!("{name}.test.yaml")), cases).unwrap();
    format!("policies={}", directory.display())
}

/// What a delegation is bound to must be clear for its rule to hold, and that is told like all else.
#[test]
fn a_call_that_cannot_be_bound_to_is_explained_and_covered_so() {
    let bank = "\
audience: https://a.example/
baseline: without_token
tools:
  pay:
    - require: {scopes: [\"mcp:connect\"]}
      delegation: {scope: pay, authorization_details: {type: t, arguments: [amount, iban]}}
    - delegation: {scope: any}
";
    let cases = "\
callers: {anyone: {scopes: [\"mcp:connect\"]}}
cases:
  - {given: {caller: anyone, tool: pay, arguments: {AMOUNT: 5}}, expect: {allow: {rule: \"tools.pay[1]\"}}}
";
    let set = beside_the_ledger("bank", bank, cases);
    let (printed, code) = explain(&[
        "--policy=bank",
        "--tool=pay",
        "--scope=mcp:connect",
        "--arguments={\"AMOUNT\":5,\"iban\":\"CH93\"}",
        "--set",
        &set,
    ]);
    let tried = "
The rules that were tried, in order:
  bank.tools.pay[0]: fails
    holds  the scopes mcp:connect; has mcp:connect
    fails  the arguments `amount` and `iban` as all servers read them; has what some servers read as it, \"CH93\"
  bank.tools.pay[1]: holds
    wants nothing
";
    assert!(printed.contains(tried), "{printed}");
    assert_eq!(code, Some(0));
    let output = deputy(&["test", "--policy", "bank", "--set", &set]);
    let uncovered = "uncovered: bank.tools.pay[0]: no case is allowed by it\n";
    assert!(stderr(&output).contains(uncovered), "{}", stderr(&output));
}

/// A policy that no endpoint uses yet is tested and explained before it is.
#[test]
fn a_policy_that_nothing_uses_is_judged_by_itself() {
    let unused = "\
audience: https://a.example/
baseline: without_token
tools: {read: {delegation: {scope: read}}}
";
    let cases = "\
callers: {anyone: {}}
cases: [{given: {caller: anyone, tool: read}, expect: {allow: {rule: tools.read}}}]
";
    let set = beside_the_ledger("unused", unused, cases);
    let output = deputy(&["test", "--policy", "unused", "--set", &set]);
    let expected =
        "uncovered: unused.baseline: no case tries it\n1 passed, 0 failed; 1 of 2 rules covered\n";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(0)));
    let (printed, code) = explain(&["--policy=unused", "--tool=read", "--set", &set]);
    let first = "allowed: somebody, tool read by the policy unused, which no endpoint uses\n";
    assert!(printed.starts_with(first), "{printed}");
    assert_eq!(code, Some(0));
}
