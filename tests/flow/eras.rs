//! The revisions of MCP: which one a request is of, and what follows from it.

use mcp_deputy::transaction::{Event, Step};
use serde_json::{Value, json};

use super::stage::*;

const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

fn version(version: &str) -> (&str, &str) {
    ("mcp-protocol-version", version)
}

/// A request of a revision that has sessions.
fn ask(stage: &mut Stage, headers: &[(&str, &str)], message: &str) -> Step {
    let (mut stream, step) = stage.post(&token(json!({})), headers);
    match step {
        Step::Pause => stream.body(stage, message.as_bytes()),
        step => step,
    }
}

/// The HTTP status, the JSON-RPC code and the id of an answer.
#[track_caller]
fn answer(step: Step) -> (u16, Value, Value) {
    let reply = step.reply();
    let body = body(&reply);
    (reply.status, body["error"]["code"].clone(), body["id"].clone())
}

#[test]
fn h01_h04_mirrored_headers_say_what_the_body_says() {
    let greet = |more: &[(&str, &str)]| {
        let params = json!({"name": "listAccounts"});
        Stage::new().ask_stateless(&token(json!({})), "tools/call", params, more).1
    };
    for name in ["listAccounts", "=?base64?bGlzdEFjY291bnRz?="] {
        assert!(matches!(greet(&[("mcp-name", name)]), Step::Call(_)), "{name}");
    }
    for more in [
        vec![("mcp-name", "getCustomerPII")],
        vec![("mcp-name", "ListAccounts")],
        vec![("mcp-name", "")],
        vec![("mcp-method", "")],
        vec![("mcp-method", "tools/list")],
        vec![("mcp-method", "TOOLS/CALL")],
        vec![("mcp-name", "listAccounts"), ("mcp-name", "listAccounts")],
        vec![("mcp-name", "=?base64?bGlzdEFjY291bnRz")],
        vec![("mcp-name", "=?base64?bGlzdEFjY291bnR?=")],
        vec![("mcp-name", "=?base64?Z2V0Q3VzdG9tZXJQSUk=?=")],
        vec![("mcp-name", "=?BASE64?bGlzdEFjY291bnRz?=")],
        vec![("mcp-name", "=?base64?/w==?=")],
        vec![("mcp-name", "=?base64??=")],
    ] {
        assert_eq!(answer(greet(&more)), (400, json!(-32020), json!(7)), "{more:?}");
    }
}

#[test]
fn what_of_the_headers_does_not_fit_is_in_the_record() {
    for (more, reason) in [
        (("mcp-name", "other"), "header_mismatch"),
        (("mcp-protocol-version", "2099-01-01"), "unsupported_version"),
    ] {
        let mut stage = Stage::new();
        let params = json!({"name": "listAccounts"});
        let (stream, step) = stage.ask_stateless(&token(json!({})), "tools/call", params, &[more]);
        let record = stream.close(&mut stage, step.reply().status).unwrap();
        assert_eq!((&record["decision"], &record["reason"]), (&json!("refuse"), &json!(reason)));
    }
}

#[test]
fn h01_the_name_is_that_of_the_methods_object() {
    let held = token(json!({"scope": "mcp:connect"}));
    for (method, params, object, other) in [
        ("prompts/get", json!({"name": "summary"}), "summary", "other"),
        ("resources/read", json!({"uri": "ledger://accounts/1"}), "ledger://accounts/1", "x:"),
        ("tasks/get", json!({"taskId": "k-1"}), "k-1", "k-2"),
        ("tasks/update", json!({"taskId": "k-1"}), "k-1", "k-2"),
        ("tasks/cancel", json!({"taskId": "k-1"}), "k-1", "k-2"),
    ] {
        let ask = |name| {
            let more = [("mcp-name", name)];
            Stage::new().ask_stateless(&held, method, params.clone(), &more).1
        };
        let right = ask(object);
        let is_mismatch = matches!(right, Step::Reply(reply) if reply.status == 400);
        assert!(!is_mismatch, "{method}");
        for name in [other, ""] {
            assert_eq!(answer(ask(name)).1, -32020, "{method} {name}");
        }
    }
    let complete = json!({"ref": {"type": "ref/prompt", "name": "summary"}, "argument": {}});
    let step = Stage::new().ask_stateless(&held, "completion/complete", complete, &[]).1;
    assert!(matches!(step, Step::Call(_)), "a completion mirrors no name");
}

#[test]
fn h02_mirrored_headers_mean_nothing_before_2026_07_28_and_do_not_go_up() {
    for revision in ["", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut stage = Stage::new();
        let lies = [
            version(revision),
            ("mcp-name", "greet"),
            ("mcp-method", "tools/list"),
            ("mcp-param-tenant", "a"),
        ];
        let (mut stream, _) = stage.post(&token(json!({})), &lies);
        let callout = stream.body(&mut stage, call("listAccounts").as_bytes()).callout();
        let reply = Ok(issued(&delegation("ledger:ListAccounts")));
        let settled = stage.settle(&callout, reply).unwrap();
        let edits = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
        for name in ["mcp-name", "mcp-method", "mcp-param-tenant"] {
            assert!(edits.remove.contains(&name.to_owned()), "{revision} {name}");
        }
    }
}

#[test]
fn what_mirrors_an_argument_goes_up_since_2026_07_28_however_it_is_named() {
    let mut stage = Stage::new();
    let more = [("mcp-param-region_code", "eu"), ("mcp_param_region", "us")];
    let params = json!({"name": "listAccounts"});
    let (mut stream, step) = stage.ask_stateless(&token(json!({})), "tools/call", params, &more);
    let edits = stream.go_up(&mut stage, step);
    assert_eq!(edits.remove, ["mcp_param_region"]);
}

#[test]
fn h06_one_revision_and_no_other() {
    let held = token(json!({}));
    let params = || json!({"name": "listAccounts"});
    for headers in [
        vec![version("")],
        vec![version("2024-11-05")],
        vec![version("2025-03-26")],
        vec![version("2025-11-25")],
        vec![version("2026-07-28"), version("2026-07-28")],
        vec![version("2026-07-28"), version("2025-11-25")],
    ] {
        let step = Stage::new().ask_stateless(&held, "tools/call", params(), &headers).1;
        assert_eq!(answer(step), (400, json!(-32020), json!(7)), "{headers:?}");
    }
    let long = "9".repeat(1_000);
    for unknown in ["2099-01-01", "2024-11-04", "2026-07-28 ", "draft", &long] {
        let headers = [version(unknown)];
        let step = Stage::new().ask_stateless(&held, "tools/call", params(), &headers).1;
        let reply = step.reply();
        let body = body(&reply);
        assert_eq!((reply.status, &body["id"]), (400, &json!(7)), "{unknown}");
        assert_eq!(body["error"]["code"], -32022);
        assert_eq!(body["error"]["data"]["supported"], json!(REVISIONS));
        let requested: String = unknown.chars().take(32).collect();
        assert_eq!(body["error"]["data"]["requested"], json!(requested));
    }
    let mut stage = Stage::new();
    let bytes = [("mcp-protocol-version", "\u{e9}")];
    assert_eq!(answer(ask(&mut stage, &bytes, &call("listAccounts"))).1, -32022);
}

/// A stage whose endpoint serves these revisions, and whose requests without an object need no exchange.
fn serving(revisions: &[&str]) -> Stage {
    let mut configuration = configuration();
    configuration["policies"]["ledger"]["baseline"] = json!("without_token");
    configuration["endpoints"][0]["revisions"] = json!(revisions);
    Stage::with(configuration)
}

fn initialize(offered: &str) -> String {
    json!({"jsonrpc": "2.0", "id": "a", "method": "initialize",
        "params": {"protocolVersion": offered, "capabilities": {"x": "2025-06-18"}}})
    .to_string()
}

/// What a server is offered, by a client that offers this.
fn offered(stage: &mut Stage, headers: &[(&str, &str)], by_client: &str) -> String {
    let message = initialize(by_client);
    let edits = ask(stage, headers, &message).edits();
    let body = edits.body.map_or(message, |body| String::from_utf8(body).unwrap());
    let read: Value = serde_json::from_str(&body).unwrap();
    let server_reads = read["params"]["protocolVersion"].as_str().unwrap().to_owned();
    assert_eq!(body, initialize(&server_reads), "and nothing else differs");
    server_reads
}

/// A server agrees on what is offered if it can (MCP 2025-11-25, version negotiation), and every
/// request after that would be refused.
#[test]
fn a_server_is_offered_no_revision_that_is_not_served() {
    let mut stage = serving(&["2025-06-18", "2025-11-25", "2026-07-28"]);
    for served in ["2025-06-18", "2025-11-25"] {
        assert_eq!(offered(&mut stage, &[], served), served);
        assert_eq!(offered(&mut stage, &[version("2025-11-25")], served), served);
    }
    for other in ["2024-11-05", "2025-03-26", "2026-07-28", "2099-01-01"] {
        assert_eq!(offered(&mut stage, &[], other), "2025-11-25", "{other}");
    }
    // The newest of a client that knows more than this endpoint serves.
    let mut stage = serving(&["2025-06-18", "2025-03-26"]);
    for newer in ["2025-11-25", "2026-07-28"] {
        assert_eq!(offered(&mut stage, &[], newer), "2025-06-18", "{newer}");
    }
    // What is no revision of MCP is the server's to answer.
    for odd in ["1.0.0", "DRAFT-2026-v1", ""] {
        assert_eq!(offered(&mut stage, &[], odd), odd);
    }
    for params in ["{}", r#"{"protocolVersion":1}"#, r#"{"protocolVersion":"\u003225-11-25"}"#] {
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        assert_eq!(ask(&mut stage, &[], &message).edits().body, None, "{params}");
    }
}

/// Over Streamable HTTP, where some servers agree on it, it means 2025-03-26: official SDKs go on with
/// the header.
#[test]
fn a_client_and_a_server_may_agree_on_2024_11_05() {
    let mut stage = serving(&REVISIONS);
    assert_eq!(offered(&mut stage, &[], "2024-11-05"), "2024-11-05");
    let agreed = version("2024-11-05");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for message in [initialized, ping, &format!("[{ping}]")] {
        let edits = ask(&mut stage, &[agreed], message).edits();
        assert_eq!((edits.body, edits.remove), (None, vec!["authorization".to_owned()]));
    }
    for (message, code) in [("server/discover", -32601), ("tasks/get", -32601)] {
        let message =
            json!({"jsonrpc": "2.0", "id": 7, "method": message, "params": {"taskId": "1"}});
        assert_eq!(answer(ask(&mut stage, &[agreed], &message.to_string())).1, code);
    }
    let (mut stream, step) = stage.post(&token(json!({})), &[(":method", "GET"), agreed]);
    assert!(step.is_pause());
    let _ = stream.body(&mut stage, b"").edits();

    let mut stage = serving(&["2025-06-18", "2025-11-25"]);
    let error = body(&ask(&mut stage, &[agreed], ping).reply())["error"].clone();
    let data = json!({"supported": ["2025-06-18", "2025-11-25"], "requested": "2024-11-05"});
    assert_eq!((&error["code"], &error["data"]), (&json!(-32022), &data));
    assert_eq!(
        error["message"],
        "Unsupported protocol version: this server speaks MCP 2025-06-18, 2025-11-25, over Streamable HTTP."
    );
}

#[test]
fn legacy_clients_send_no_version_at_first_and_the_negotiated_one_later() {
    let mut stage = Stage::new();
    for (header, message) in [
        (
            "",
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"protocolVersion": "2025-11-25"}}),
        ),
        ("2025-11-25", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
        ("2025-11-25", json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})),
        ("2025-06-18", json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})),
        ("", json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})),
    ] {
        let step = ask(&mut stage, &[version(header)], &message.to_string());
        assert!(matches!(step, Step::Call(_) | Step::Pause), "{header} {message}");
    }
}

#[test]
fn r13_a_method_that_the_revision_does_not_have_is_unknown() {
    let request = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
    };
    for (revision, method, params) in [
        ("", "server/discover", json!({})),
        ("2025-11-25", "subscriptions/listen", json!({"notifications": {}})),
        ("2025-06-18", "tasks/get", json!({"taskId": "1"})),
        ("", "tasks/list", json!({})),
        ("2025-11-25", "tasks/update", json!({"taskId": "1"})),
    ] {
        let step = ask(&mut Stage::new(), &[version(revision)], &request(method, params));
        assert_eq!(answer(step), (404, json!(-32601), json!(7)), "{revision} {method}");
    }
    for method in ["initialize", "ping", "resources/subscribe", "logging/setLevel", "tasks/list"] {
        let step = Stage::new().ask_stateless(&token(json!({})), method, json!({}), &[]).1;
        assert_eq!(answer(step), (404, json!(-32601), json!(7)), "{method}");
    }
    // Where it is known, it needs a rule.
    let step = ask(&mut Stage::new(), &[version("2025-11-25")], &request("tasks/list", json!({})));
    assert_eq!(step.reply().status, 200);
    let step = Stage::new().ask_stateless(&token(json!({})), "server/discover", json!({}), &[]).1;
    assert!(matches!(step, Step::Call(_)));
}

#[test]
fn t17_a_stateless_revision_has_post_alone() {
    let held = token(json!({}));
    for method in ["GET", "DELETE"] {
        for revision in ["", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let headers = [(":method", method), version(revision)];
            assert!(Stage::new().post(&held, &headers).1.is_pause(), "{revision} {method}");
        }
        let headers = [(":method", method), version("2026-07-28")];
        let reply = Stage::new().post(&held, &headers).1.reply();
        assert_eq!(
            (reply.status, header(&reply, "allow")),
            (405, Some("POST, OPTIONS")),
            "{method}"
        );
        let headers = [(":method", method), version("2099-01-01")];
        assert_eq!(answer(Stage::new().post(&held, &headers).1).1, -32022, "{method}");
        let headers = [(":method", method), version("2026-07-28")];
        assert_eq!(Stage::new().post("bad", &headers).1.reply().status, 401, "{method}");
    }
}

/// MCP 2026-07-28, transports, earlier revisions.
#[test]
fn t17_an_endpoint_that_serves_no_sessions_has_post_alone() {
    let mut stage = serving(&["2026-07-28"]);
    for (method, revision) in ["GET", "DELETE", "PUT"]
        .iter()
        .flat_map(|method| ["", "2025-11-25", "2026-07-28", "x"].map(|r| (method, r)))
    {
        let reply =
            stage.post(&token(json!({})), &[(":method", method), version(revision)]).1.reply();
        let answer = (reply.status, header(&reply, "allow"));
        assert_eq!(answer, (405, Some("POST, OPTIONS")), "{method} {revision}");
    }
}

fn batch(messages: &[Value]) -> String {
    Value::from(messages).to_string()
}

fn request(id: u64, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}})
}

#[test]
fn r01_a_batch_is_judged_message_by_message() {
    let mut stage = Stage::new();
    let held = token(json!({"scope": "mcp:connect pii:read"}));
    let two = batch(&[request(1, "getCustomerPII"), request(2, "readNotes")]);
    let (mut stream, step) = stage.send(&held, &two);
    let callout = step.callout();
    assert_eq!(field(&callout, "scope").unwrap(), "ledger:ReadPII", "one token for all");
    let settled = stage.settle(&callout, Ok(issued(&delegation("ledger:ReadPII")))).unwrap();
    let exchanged = Event::Exchanged(settled.result.as_ref());
    assert_eq!(stream.event(&mut stage, exchanged).edits().set.len(), 1);
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(
        record["batch"],
        json!([
            {"method": "tools/call", "tool": "getCustomerPII"},
            {"method": "tools/call", "tool": "readNotes"},
        ])
    );
    assert_eq!((record.get("tool"), &record["decision"]), (None, &json!("allow")));
}

#[test]
fn r01_a_batch_is_refused_whole_with_the_first_denial() {
    for (messages, status, message) in [
        (
            [request(1, "listAccounts"), request(2, "getCustomerPII")],
            403,
            "Access denied: PII access requires pii:read scope.",
        ),
        (
            [request(1, "dropTables"), request(2, "getCustomerPII")],
            403,
            "Access denied: no rule allows the tool dropTables.",
        ),
        (
            [request(1, "secretTool"), request(2, "listAccounts")],
            403,
            "Access denied: no rule allows the tool secretTool.",
        ),
        (
            [request(1, "listAccounts"), json!({"jsonrpc": "2.0", "id": 2, "method": "ping"})],
            403,
            "Access denied: the messages of this batch have no delegation in common.",
        ),
    ] {
        let mut stage = Stage::new();
        let (stream, step) = stage.send(&token(json!({})), &batch(&messages));
        let reply = step.reply();
        let error = json!({"code": status, "message": message});
        assert_eq!(body(&reply), json!({"jsonrpc": "2.0", "id": null, "error": error}));
        assert_eq!(reply.status, status);
        let is_step_up = message.contains("pii:read");
        assert_eq!(header(&reply, "www-authenticate").is_some(), is_step_up, "{message}");
        let record = stream.close(&mut stage, status).unwrap();
        assert_eq!(record["decision"], "deny");
        assert_eq!(record["batch"].as_array().unwrap().len(), 2);
        if message.contains("delegation in common") {
            // The rule of the first message that goes up otherwise than those before it.
            assert_eq!(record["reason"], "no_common_delegation");
            assert_eq!(record["rule"], "ledger.baseline");
        }
    }
}

#[test]
fn r01_the_lists_in_the_answer_to_a_batch_are_filtered() {
    let mut stage = Stage::new();
    let list = |id: u64, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let two = batch(&[list(1, "ping"), list(2, "tools/list")]);
    let (mut stream, step) = stage.send(&token(json!({})), &two);
    let reply = Ok(issued(&delegation("ledger:Connect")));
    let settled = stage.settle(&step.callout(), reply).unwrap();
    let _ = stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())).edits();
    let headers = [(":status", "200"), ("content-type", "application/json")];
    let step = stream.response(&mut stage, &headers);
    assert!(matches!(step, Step::Filter { .. }));
    let tools = json!({"tools": [{"name": "listAccounts"}, {"name": "dropTables"}]});
    let answer = batch(&[
        json!({"jsonrpc": "2.0", "id": 1, "result": {}}),
        json!({"jsonrpc": "2.0", "id": 2, "result": tools}),
    ]);
    let Step::Replace(out) = stream.chunk(&mut stage, answer.as_bytes(), true) else { panic!() };
    let read: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(read[1]["result"]["tools"], json!([{"name": "listAccounts"}]));
}

#[test]
fn r01_later_revisions_have_no_batches() {
    let one = batch(&[request(1, "listAccounts")]);
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let step = ask(&mut Stage::new(), &[version(revision)], &one);
        assert_eq!(answer(step), (400, json!(-32600), Value::Null), "{revision}");
    }
    for revision in ["", "2025-03-26"] {
        let step = ask(&mut Stage::new(), &[version(revision)], &one);
        assert!(matches!(step, Step::Call(_)), "{revision}");
    }
}

const OLD_LOCATION: &str = "/.well-known/oauth-authorization-server";

fn with_authorization_server() -> (Stage, Value) {
    let metadata = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://login.example/authorize?tenant=a",
        "token_endpoint": "https://login.example/token",
        "registration_endpoint": "https://login.example/register",
        "response_types_supported": ["code"],
        "x-unknown": {"kept": [1, null]},
    });
    let mut configuration = configuration();
    configuration["authorization_server_metadata"] = metadata.clone();
    (Stage::with(configuration), metadata)
}

#[test]
fn m01_m02_clients_of_2025_03_26_find_the_authorization_server_at_the_origin() {
    let (mut stage, metadata) = with_authorization_server();
    let ask = |method| {
        [
            (":method", method),
            (":path", OLD_LOCATION),
            (":authority", "evil.example"),
            ("x-forwarded-host", "evil.example"),
            ("origin", "https://any.example"),
        ]
    };
    for (method, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405)] {
        let mut stream = stage.begin();
        let reply = stream.headers(&mut stage, &ask(method), true).reply();
        assert_eq!(reply.status, status, "{method}");
        if status == 405 {
            assert_eq!(header(&reply, "allow"), Some("GET, HEAD, OPTIONS"));
            continue;
        }
        assert_eq!(header(&reply, "access-control-allow-origin"), Some("*"), "{method}");
        if status == 200 {
            assert_eq!(body(&reply), metadata);
        }
        assert_eq!(stream.close(&mut stage, status).unwrap()["decision"], "serve");
    }
}

#[test]
fn m03_the_authorization_servers_metadata_is_at_one_path_and_only_if_configured() {
    let (mut stage, _) = with_authorization_server();
    let status = |stage: &mut Stage, path: &str| {
        let headers = [(":method", "GET"), (":path", path)];
        stage.begin().headers(stage, &headers, true).reply().status
    };
    assert_eq!(status(&mut stage, &format!("{OLD_LOCATION}?x")), 200);
    for path in [
        "/.well-known/oauth-authorization-server/",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/oauth-authorization-server/../mcp",
        "//.well-known/oauth-authorization-server",
        "/.well-known/OAuth-Authorization-Server",
        "/.well-known/oauth%2dauthorization-server",
        "/mcp/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        assert_eq!(status(&mut stage, path), 404, "{path}");
    }
    assert_eq!(status(&mut Stage::new(), OLD_LOCATION), 404);
}

#[test]
fn an_endpoint_serves_the_revisions_that_it_names() {
    let mut configuration = configuration();
    configuration["endpoints"][0]["revisions"] = json!(["2025-11-25", "2026-07-28"]);
    let mut stage = Stage::with(configuration);
    let ping = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}).to_string();
    let mut ask = |revision: &str| {
        let headers = [("mcp-protocol-version", revision)];
        let (mut stream, step) = stage.post(&token(json!({})), &headers);
        if step.is_pause() { stream.body(&mut stage, ping.as_bytes()) } else { step }
    };
    assert!(matches!(ask("2025-11-25"), Step::Call(_)));
    for revision in ["2025-06-18", "2025-03-26", "2099-01-01"] {
        let error = body(&ask(revision).reply())["error"].clone();
        let data = json!({"supported": ["2025-11-25", "2026-07-28"], "requested": revision});
        assert_eq!((&error["code"], &error["data"]), (&json!(-32022), &data), "{revision}");
    }
}

#[test]
fn without_the_header_no_revision_is_served_that_the_endpoint_does_not_name() {
    let served = |names: Value| {
        let mut configuration = configuration();
        configuration["endpoints"][0]["revisions"] = names;
        Stage::with(configuration)
    };
    let message = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let initialize = message(
        "initialize",
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}),
    );
    let call = message("tools/call", json!({"name": "listAccounts"}));
    let response = json!({"jsonrpc": "2.0", "id": 7, "result": {}});
    for (stage, may_initialize) in [
        (&mut served(json!(["2026-07-28"])), false),
        (&mut served(json!(["2025-11-25", "2026-07-28"])), true),
    ] {
        let mut post = |body: &Value| {
            let (mut stream, step) = stage.post(&token(json!({})), &[]);
            if step.is_pause() { stream.body(stage, body.to_string().as_bytes()) } else { step }
        };
        for refused in [&call, &json!([call]), &response] {
            let answer = post(refused).reply();
            // A required header is missing (MCP 2026-07-28, server validation).
            assert_eq!(answer.status, 400);
            assert_eq!(body(&answer)["error"]["code"], -32020, "{refused}");
        }
        match post(&initialize) {
            Step::Call(_) => assert!(may_initialize),
            // All that a client of an earlier revision is told.
            step => {
                let error = body(&step.reply())["error"].clone();
                let data = json!({"supported": ["2026-07-28"], "requested": "2025-11-25"});
                assert_eq!((&error["code"], &error["data"]), (&json!(-32022), &data));
                assert!(!may_initialize);
            }
        }
        for method in ["GET", "DELETE"] {
            let (mut stream, step) = stage.post(&token(json!({})), &[(":method", method)]);
            let step = if step.is_pause() { stream.body(stage, b"") } else { step };
            assert_eq!(step.reply().status, if may_initialize { 400 } else { 405 }, "{method}");
        }
    }
}
