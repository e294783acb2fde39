//! Tasks are their caller's and their tool's, on every method that names one.

use mcp_deputy::session::{Binding, Purpose};
use mcp_deputy::transaction::Step;
use mcp_deputy::upstream::Edits;
use serde_json::{Value, json};

use super::stage::*;

const ID: &str = "task-1";
const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const RELATED: &str = "io.modelcontextprotocol/related-task";

fn tasks() -> Value {
    merge(configuration(), json!({"sessions": {"keys_from_environment": ["KEY"]}}))
}

fn message(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// What is said to a request of 2025-11-25.
fn ask(stage: &mut Stage, token: &str, path: &str, method: &str, params: Value) -> (Stream, Step) {
    let headers = [("mcp-protocol-version", "2025-11-25"), (":path", path)];
    let (mut stream, step) = stage.post(token, &headers);
    assert!(step.is_pause());
    let step = stream.body(stage, message(method, params).as_bytes());
    (stream, step)
}

/// The same of 2026-07-28, by a client that knows the tasks extension.
fn ask_stateless(stage: &mut Stage, token: &str, method: &str, params: Value) -> (Stream, Step) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    });
    stage.ask_stateless(token, method, merge(json!({ "_meta": meta }), params), &[])
}

/// The MCP server's answer, as the client reads it.
fn answered(stage: &mut Stage, stream: &mut Stream, result: Value) -> Value {
    let headers = [(":status", "200"), ("content-type", "application/json")];
    let Step::Filter { hold: true, .. } = stream.response(stage, &headers) else { panic!() };
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
    let Step::Replace(out) = stream.chunk(stage, answer.as_bytes(), true) else { panic!() };
    serde_json::from_slice::<Value>(&out).unwrap()["result"].clone()
}

/// The id that a client holds for the task `ID` of a tool that it called.
fn create(stage: &mut Stage, token: &str, tool: &str) -> String {
    let params = json!({"name": tool, "task": {"ttl": 60_000}});
    let (mut stream, step) = ask(stage, token, "/mcp", "tools/call", params);
    let edits = stream.go_up(stage, step);
    assert_eq!(edits.body, None, "a call goes up byte for byte");
    let task = json!({"taskId": ID, "status": "working"});
    let result = answered(stage, &mut stream, json!({ "task": task }));
    let sealed = result["task"]["taskId"].as_str().unwrap().to_owned();
    assert!(!sealed.contains(ID));
    sealed
}

fn set<'a>(edits: &'a Edits, name: &str) -> Option<&'a str> {
    edits.set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

#[track_caller]
fn refused(stage: &mut Stage, (stream, step): (Stream, Step), reason: &str) {
    let reply = step.reply();
    let error = json!({"code": -32602, "message": "Failed to retrieve task: Task not found"});
    assert_eq!(body(&reply), json!({"jsonrpc": "2.0", "id": 7, "error": error}));
    assert_eq!(reply.status, 200);
    let record = stream.close(stage, 200).unwrap();
    assert_eq!((&record["decision"], &record["reason"]), (&"refuse".into(), &reason.into()));
}

const PII: &str = "mcp:connect pii:read";

#[test]
fn a_task_goes_up_under_the_servers_id_and_its_tools_delegation_and_comes_back_sealed() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({"scope": PII}));
    let sealed = create(&mut stage, &sarah, "getCustomerPII");
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let params = json!({"a": [sealed], "taskId": sealed, "b": sealed});
        let (mut stream, step) = ask(&mut stage, &sarah, "/mcp", method, params);
        let edits = stream.go_up(&mut stage, step);
        let expected = message(method, json!({"a": [sealed], "taskId": ID, "b": sealed}));
        assert_eq!(String::from_utf8(edits.body.clone().unwrap()).unwrap(), expected);
        assert_eq!(set(&edits, "content-length"), Some(&*expected.len().to_string()));
        assert!(edits.remove.iter().all(|name| name != "content-length"));
        let result = json!({"taskId": ID, "_meta": {RELATED: {"taskId": ID}}});
        let result = answered(&mut stage, &mut stream, result);
        assert_eq!(result, json!({"taskId": sealed, "_meta": {RELATED: {"taskId": sealed}}}));
        let record = stream.close(&mut stage, 200).unwrap();
        assert_eq!(
            (&record["method"], &record["tool"], &record["rule"], &record["delegation"]["scope"]),
            (
                &method.into(),
                &"getCustomerPII".into(),
                &"ledger.tools.getCustomerPII".into(),
                &"ledger:ReadPII".into()
            )
        );
    }
}

#[test]
fn a_task_of_the_extension_is_named_by_the_header_too() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let (mut stream, step) =
        ask_stateless(&mut stage, &sarah, "tools/call", json!({"name": "listAccounts"}));
    let _ = stream.go_up(&mut stage, step);
    let result = json!({"resultType": "task", "taskId": "=?k", "status": "working"});
    let result = answered(&mut stage, &mut stream, result);
    let sealed = result["taskId"].as_str().unwrap();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let (_, step) = ask_stateless(&mut stage, &sarah, method, json!({ "taskId": sealed }));
        let edits = step.edits();
        assert_eq!(set(&edits, "mcp-name"), Some("=?base64?PT9r?="), "{method}");
        let up: Value = serde_json::from_slice(&edits.body.unwrap()).unwrap();
        assert_eq!(up["params"]["taskId"], "=?k");
        // The header must say what the body says.
        for name in ["=?base64?PT9r?=", "=?k", ""] {
            let meta = json!({"taskId": sealed});
            let (_, step) = stage.ask_stateless(&sarah, method, meta, &[("mcp-name", name)]);
            assert_eq!(body(&step.reply())["error"]["code"], -32020, "{method} {name}");
        }
    }
}

#[test]
fn s05_nobody_follows_or_steers_the_task_of_another() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let sealed = create(&mut stage, &sarah, "listAccounts");
    let others = [
        (token(json!({"sub": "john.mcclane@orchestrator.lab"})), "/mcp"),
        (token(json!({"client_id": "web"})), "/mcp"),
        (token(json!({"client_id": null})), "/mcp"),
        (sarah.clone(), "/mcp/open"),
    ];
    for (other, path) in &others {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let outcome = ask(&mut stage, other, path, method, json!({"taskId": sealed}));
            refused(&mut stage, outcome, "foreign_task");
        }
        let call = json!({"name": "listAccounts", "_meta": {RELATED: {"taskId": sealed}}});
        let outcome = ask(&mut stage, other, path, "tools/call", call);
        refused(&mut stage, outcome, "foreign_task");
    }
    for (other, _) in &others[..3] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let outcome = ask_stateless(&mut stage, other, method, json!({"taskId": sealed}));
            refused(&mut stage, outcome, "foreign_task");
        }
        let listen = json!({"notifications": {"taskIds": [sealed]}});
        let outcome = ask_stateless(&mut stage, other, "subscriptions/listen", listen);
        refused(&mut stage, outcome, "foreign_task");
    }
}

#[test]
fn s05_an_id_that_was_never_given_out_is_of_no_task() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({"scope": PII}));
    let sealed = create(&mut stage, &sarah, "listAccounts");
    let of_other_tool = create(&mut stage, &sarah, "getCustomerPII");
    for id in [ID, "*", ".", &sealed[1..], &format!("{sealed}="), &"a".repeat(2_000)] {
        let outcome = ask(&mut stage, &sarah, "/mcp", "tasks/get", json!({"taskId": id}));
        refused(&mut stage, outcome, "malformed_task");
    }
    let (id, _) = sealed.split_once('.').unwrap();
    let (_, seal) = of_other_tool.split_once('.').unwrap();
    let outcome =
        ask(&mut stage, &sarah, "/mcp", "tasks/get", json!({"taskId": format!("{id}.{seal}")}));
    refused(&mut stage, outcome, "foreign_task");
    // The very bytes must be the sealed ones: only then are they exchanged.
    let escaped = format!("\\u{:04x}{}", u32::from(sealed.as_bytes()[0]), &sealed[1..]);
    let request =
        message("tasks/get", json!({"taskId": "x"})).replace("\"x\"", &format!("\"{escaped}\""));
    let (mut stream, _) = stage.post(&sarah, &[("mcp-protocol-version", "2025-11-25")]);
    let step = stream.body(&mut stage, request.as_bytes());
    refused(&mut stage, (stream, step), "malformed_task");
}

#[test]
fn s05_no_session_passes_for_a_task_nor_a_task_for_a_session() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let sealed = create(&mut stage, &sarah, "listAccounts");
    let (_, step) = stage.post(&sarah, &[("mcp-session-id", &sealed)]);
    assert_eq!(step.reply().status, 404);
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}).to_string();
    let (mut stream, step) = stage.send(&sarah, &initialize);
    let _ = stream.go_up(&mut stage, step);
    let headers = [(":status", "200"), ("mcp-session-id", "listAccounts:task-1")];
    let edits = stream.response(&mut stage, &headers).edits();
    let session = set(&edits, "mcp-session-id").unwrap().to_owned();
    let outcome = ask(&mut stage, &sarah, "/mcp", "tasks/get", json!({"taskId": session}));
    refused(&mut stage, outcome, "foreign_task");
}

#[test]
fn r13_the_rule_of_a_tool_holds_for_its_tasks() {
    let mut stage = Stage::with(tasks());
    let sealed = create(&mut stage, &token(json!({"scope": PII})), "getCustomerPII");
    // The same user and client, by a token without the scope.
    let weaker = token(json!({}));
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let (_, step) = ask(&mut stage, &weaker, "/mcp", method, json!({"taskId": sealed}));
        let reply = step.reply();
        assert_eq!(reply.status, 403, "{method}");
        assert!(header(&reply, "www-authenticate").unwrap().contains("pii:read"), "{method}");
    }
    let listen = json!({"notifications": {"taskIds": [sealed]}});
    let (_, step) = ask_stateless(&mut stage, &weaker, "subscriptions/listen", listen);
    assert_eq!(step.reply().status, 403);
}

#[test]
fn who_listens_to_tasks_is_told_of_these_alone() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({"scope": PII}));
    let pii = create(&mut stage, &sarah, "getCustomerPII");
    let listen = |ids: &[&str]| json!({"notifications": {"taskIds": ids}});
    let accounts = create(&mut stage, &sarah, "listAccounts");
    let both = listen(&[&pii, &accounts]);
    let (stream, step) = ask_stateless(&mut stage, &sarah, "subscriptions/listen", both);
    let message = &body(&step.reply())["error"]["message"];
    assert_eq!(message, "Access denied: these resources and tasks have no delegation in common.");
    let record = stream.close(&mut stage, 200).unwrap();
    assert_eq!(
        (&record["decision"], &record["reason"], &record["rule"]),
        (&"deny".into(), &"no_common_delegation".into(), &"ledger.tools.listAccounts".into())
    );

    let (mut stream, step) =
        ask_stateless(&mut stage, &sarah, "subscriptions/listen", listen(&[&pii]));
    let edits = step.edits();
    let up: Value = serde_json::from_slice(&edits.body.unwrap()).unwrap();
    assert_eq!(up["params"]["notifications"]["taskIds"], json!([ID]));
    assert!(edits.set.iter().all(|(name, _)| *name != "mcp-name"));
    let headers = [(":status", "200"), ("content-type", "text/event-stream")];
    let _ = stream.response(&mut stage, &headers);
    let mut events = |id: &str| {
        let message =
            json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": {"taskId": id}});
        let Step::Replace(out) =
            stream.chunk(&mut stage, format!("data: {message}\n\n").as_bytes(), false)
        else {
            panic!()
        };
        String::from_utf8(out).unwrap()
    };
    assert!(events(ID).contains(&pii));
    assert_eq!(events("task-2"), "\n");
}

#[test]
fn s05_streams_of_no_tool_say_nothing_of_tasks() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let (mut stream, step) = stage.post(&sarah, &[(":method", "GET")]);
    assert!(step.is_pause());
    let step = stream.body(&mut stage, b"");
    let _ = stream.go_up(&mut stage, step);
    let _ =
        stream.response(&mut stage, &[(":status", "200"), ("content-type", "text/event-stream")]);
    let status =
        json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": ID}});
    let other = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    let events = format!("id: 1\ndata: {status}\n\ndata: {other}\n\n");
    let Step::Replace(out) = stream.chunk(&mut stage, events.as_bytes(), false) else { panic!() };
    assert_eq!(String::from_utf8(out).unwrap(), format!("id: 1\n\ndata: {other}\n\n"));
}

#[test]
fn s05_a_task_that_cannot_be_bound_does_not_pass() {
    let without = configuration();
    let no_keys = "sessions_not_configured";
    for (configuration, result, detail) in [
        (without.clone(), json!({"task": {"taskId": ID}}), no_keys),
        (without, json!({"resultType": "task", "taskId": ID}), no_keys),
        (tasks(), json!({"task": {"taskId": "a b"}}), "malformed_task"),
        (tasks(), json!({"task": {"taskId": "a\"b"}}), "malformed_task"),
        (tasks(), json!({"task": {"taskId": 7}}), "malformed_task"),
        (tasks(), json!({"task": {"taskId": "x".repeat(600)}}), "malformed_task"),
    ] {
        let mut stage = Stage::with(configuration);
        let params = json!({"name": "listAccounts", "task": {}});
        let (mut stream, step) = ask(&mut stage, &token(json!({})), "/mcp", "tools/call", params);
        let _ = stream.go_up(&mut stage, step);
        let headers = [(":status", "200"), ("content-type", "application/json")];
        let _ = stream.response(&mut stage, &headers);
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": result}).to_string();
        // What came before the id may have passed already, if the answer comes in pieces.
        let reply = stream.chunk(&mut stage, answer.as_bytes(), true).reply();
        assert_eq!(reply.status, 502);
        let record = stream.close(&mut stage, 502).unwrap();
        assert_eq!(record["detail"], detail, "{answer}");
    }
}

#[test]
fn s05_a_call_that_belongs_to_a_task_does_not_lend_it_its_own_rule() {
    let mut stage = Stage::with(tasks());
    let sealed = create(&mut stage, &token(json!({"scope": PII})), "getCustomerPII");
    let weaker = token(json!({}));
    let meta = |id: &str| json!({RELATED: {"taskId": id}});
    let params = json!({"name": "listAccounts", "_meta": meta(&sealed)});
    let (mut stream, step) = ask(&mut stage, &weaker, "/mcp", "tools/call", params);
    let edits = stream.go_up(&mut stage, step);
    let up: Value = serde_json::from_slice(&edits.body.unwrap()).unwrap();
    assert_eq!(up["params"]["_meta"], meta(ID));
    let result = answered(&mut stage, &mut stream, json!({"content": [], "_meta": meta(ID)}));
    assert_eq!(result["_meta"], meta(&sealed));
}

/// MCP 2025-11-25, tasks: receivers ignore it there "in favor of the RPC method parameter".
#[test]
fn s05_who_follows_a_task_says_in_vain_that_it_belongs_to_another() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let sealed = create(&mut stage, &sarah, "listAccounts");
    let other = token(json!({"client_id": "web"}));
    let others = create(&mut stage, &other, "listAccounts");
    for (method, related) in ["tasks/get", "tasks/result", "tasks/cancel"]
        .iter()
        .flat_map(|method| [&*sealed, &others, "task-2", "x"].map(|related| (method, related)))
    {
        let params = |id: &str, related: &str| json!({"taskId": id, "_meta": {RELATED: {"taskId": related}}});
        let (mut stream, step) = ask(&mut stage, &sarah, "/mcp", method, params(&sealed, related));
        let edits = stream.go_up(&mut stage, step);
        let up = String::from_utf8(edits.body.unwrap()).unwrap();
        assert_eq!(up, message(method, params(ID, "")), "{method} {related}");
        let result = answered(&mut stage, &mut stream, json!({"taskId": ID}));
        assert_eq!(result, json!({"taskId": sealed}));
        let outcome = ask(&mut stage, &sarah, "/mcp", method, params(&others, &sealed));
        refused(&mut stage, outcome, "foreign_task");
    }
}

/// MCP 2025-11-25, tasks: a response that is related to a task says so, like any message.
#[test]
fn s05_what_a_client_answers_belongs_to_its_own_task() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let sealed = create(&mut stage, &sarah, "listAccounts");
    let other = token(json!({"client_id": "web"}));
    let others = create(&mut stage, &other, "listAccounts");
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}).to_string();
    let (mut stream, step) = stage.send(&sarah, &initialize);
    let _ = stream.go_up(&mut stage, step);
    let edits = stream.response(&mut stage, &[("mcp-session-id", "session-1")]).edits();
    let session = set(&edits, "mcp-session-id").unwrap().to_owned();
    let answer = |task: &str| {
        json!({"jsonrpc": "2.0", "id": 3, "result": {"_meta": {RELATED: {"taskId": task}}}})
            .to_string()
    };
    let mut post = |body: &str| {
        let headers = [("mcp-protocol-version", "2025-11-25"), ("mcp-session-id", &*session)];
        let (mut stream, step) = stage.post(&sarah, &headers);
        assert!(step.is_pause());
        let step = stream.body(&mut stage, body.as_bytes());
        match step {
            Step::Reply(reply) => {
                Err((reply.status, stream.close(&mut stage, reply.status).unwrap()))
            }
            step => Ok(stream.go_up(&mut stage, step).body),
        }
    };
    assert_eq!(post(&answer(&sealed)).unwrap(), Some(answer(ID).into_bytes()));
    for (other, reason) in [(&*others, "foreign_task"), (ID, "malformed_task")] {
        let (status, record) = post(&answer(other)).unwrap_err();
        assert_eq!((status, &record["reason"]), (202, &reason.into()));
        assert_eq!(record["answers"], "ping");
    }
    // Only one of two could be claimed, and what is no id cannot be.
    let meta = |task: Value| json!({"_meta": {RELATED: task}});
    let (theirs, own) = (meta(json!({"taskId": ID})), meta(json!({"taskId": sealed})));
    for body in [
        json!({"jsonrpc": "2.0", "id": 3, "params": own, "result": theirs}),
        json!({"jsonrpc": "2.0", "id": 3, "result": theirs, "params": own}),
        json!({"jsonrpc": "2.0", "id": 3, "result": meta(json!({"taskId": 7}))}),
        json!({"jsonrpc": "2.0", "id": 3, "result": meta(json!({}))}),
        json!({"jsonrpc": "2.0", "id": 3, "result": meta(json!(ID))}),
    ] {
        let (status, record) = post(&body.to_string()).unwrap_err();
        assert_eq!((status, &record["reason"]), (400, &"invalid_request".into()), "{body}");
    }
    let plain = json!({"jsonrpc": "2.0", "id": 3, "result": {"_meta": {"x": {"taskId": others}}}});
    assert_eq!(post(&plain.to_string()).unwrap(), None);
}

#[test]
fn an_answer_that_can_hold_no_task_costs_nothing() {
    let mut stage = Stage::with(tasks());
    let (mut stream, step) =
        ask(&mut stage, &token(json!({})), "/mcp", "tools/call", json!({"name": "listAccounts"}));
    let edits = stream.go_up(&mut stage, step);
    assert_eq!(edits.body, None);
    let headers = [(":status", "200"), ("content-type", "application/json")];
    assert!(matches!(stream.response(&mut stage, &headers), Step::Continue(_)));
}

#[test]
fn s05_s06_without_keys_and_as_a_list_tasks_are_nobodys() {
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let mut stage = Stage::new();
        let outcome = ask(&mut stage, &token(json!({})), "/mcp", method, json!({"taskId": ID}));
        refused(&mut stage, outcome, "sessions_not_configured");
    }
    for configuration in [configuration(), tasks()] {
        let mut stage = Stage::with(configuration);
        let (stream, step) = ask(&mut stage, &token(json!({})), "/mcp", "tasks/list", json!({}));
        assert_eq!(body(&step.reply())["error"]["code"], 403);
        assert_eq!(stream.close(&mut stage, 200).unwrap()["reason"], "no_rule");
    }
}

#[test]
fn a_task_is_judged_by_the_rule_of_its_tool_without_the_arguments() {
    let mut configuration = tasks();
    configuration["policies"]["ledger"]["tools"]["act"] = json!({
        "require": {"scopes": ["pii:read"], "arguments": {"n": {"max": 1}}},
        "delegation": {"scope": "ledger:Act"},
    });
    let mut stage = Stage::with(configuration);
    let holder = token(json!({"scope": "mcp:connect pii:read"}));
    let make = |n: u64| json!({"name": "act", "task": {}, "arguments": {"n": n}});
    let (_, step) = ask(&mut stage, &holder, "/mcp", "tools/call", make(2));
    assert_eq!(body(&step.reply())["error"]["code"], 403);
    let (mut stream, step) = ask(&mut stage, &holder, "/mcp", "tools/call", make(1));
    stream.go_up(&mut stage, step);
    let made =
        answered(&mut stage, &mut stream, json!({"task": {"taskId": ID, "status": "working"}}));
    let params = json!({"taskId": made["task"]["taskId"]});
    let (_, step) = ask(&mut stage, &holder, "/mcp", "tasks/get", params.clone());
    assert!(matches!(step, Step::Continue(_)), "{step:?}");
    let (_, step) = ask(&mut stage, &token(json!({})), "/mcp", "tasks/get", params);
    assert_eq!(step.reply().status, 403);
}

/// A tool that some may call for themselves and others for anybody, and with what scope.
fn by_arguments() -> Value {
    let mut configuration = tasks();
    configuration["policies"]["ledger"]["tools"]["act"] = json!([
        {
            "require": {"arguments": {"owner": {"equals_claim": "sub"}}},
            "delegation": {"scope": "ledger:Own"},
        },
        {
            "require": {"scopes": ["pii:read"], "arguments": {"owner": {"presence": "required"}}},
            "delegation": {"scope": "ledger:Any"},
        },
        {"require": {"scopes": ["audit:read"]}, "delegation": {"scope": "ledger:Audit"}},
    ]);
    configuration
}

/// What a client holds of a task that it made with these arguments, and the rule that allowed it.
fn make(stage: &mut Stage, token: &str, arguments: Value) -> (String, String) {
    let params = json!({"name": "act", "task": {}, "arguments": arguments});
    let (mut stream, step) = ask(stage, token, "/mcp", "tools/call", params);
    stream.go_up(stage, step);
    let made = answered(stage, &mut stream, json!({"task": {"taskId": ID}}));
    let rule = stream.close(stage, 200).unwrap()["rule"].as_str().unwrap().to_owned();
    (made["task"]["taskId"].as_str().unwrap().to_owned(), rule)
}

/// The rule by which a task may be asked for, or the status of the refusal.
fn follow(stage: &mut Stage, token: &str, task: &str) -> Result<String, u16> {
    let (mut stream, step) = ask(stage, token, "/mcp", "tasks/result", json!({"taskId": task}));
    if let Step::Reply(reply) = step {
        return Err(if body(&reply)["error"]["code"] == 403 { 403 } else { reply.status });
    }
    stream.go_up(stage, step);
    Ok(stream.close(stage, 200).unwrap()["rule"].as_str().unwrap().to_owned())
}

#[test]
fn r13_a_task_is_not_lent_a_rule_whose_arguments_it_was_not_made_with() {
    let mut stage = Stage::with(by_arguments());
    let [any, own, audit] = ["mcp:connect pii:read", "mcp:connect", "mcp:connect audit:read"]
        .map(|scope| token(json!({ "scope": scope })));
    let (of_john, rule) = make(&mut stage, &any, json!({"owner": "john"}));
    assert_eq!(rule, "ledger.tools.act[1]");
    assert_eq!(follow(&mut stage, &any, &of_john), Ok("ledger.tools.act[1]".to_owned()));
    assert_eq!(follow(&mut stage, &own, &of_john), Err(403), "the first rule is for one's own");
    // This one says nothing of arguments.
    assert_eq!(follow(&mut stage, &audit, &of_john), Ok("ledger.tools.act[2]".to_owned()));
    let (of_sarah, rule) = make(&mut stage, &own, json!({"owner": SARAH}));
    assert_eq!(rule, "ledger.tools.act[0]");
    for holder in [&own, &any, &audit] {
        assert_eq!(follow(&mut stage, holder, &of_sarah), Ok("ledger.tools.act[0]".to_owned()));
    }
    let (of_nobody, rule) = make(&mut stage, &audit, json!({}));
    assert_eq!(rule, "ledger.tools.act[2]");
    assert_eq!(follow(&mut stage, &own, &of_nobody), Err(403));
}

#[test]
fn r13_what_a_rule_says_of_arguments_is_known_after_a_push_too() {
    let mut stage = Stage::with(by_arguments());
    let any = token(json!({"scope": PII}));
    let (of_john, _) = make(&mut stage, &any, json!({"owner": "john"}));
    let mut reordered = by_arguments();
    let rules = reordered["policies"]["ledger"]["tools"]["act"].as_array_mut().unwrap();
    rules.swap(0, 1);
    rules[0]["delegation"]["scope"] = "ledger:Other".into();
    let mut stage = Stage::with(reordered);
    assert_eq!(follow(&mut stage, &any, &of_john), Ok("ledger.tools.act[0]".to_owned()));
    let mut tightened = by_arguments();
    tightened["policies"]["ledger"]["tools"]["act"][1]["require"]["arguments"]["owner"] =
        json!({"equals": "jane"});
    assert_eq!(follow(&mut Stage::with(tightened), &any, &of_john), Err(403));
}

#[test]
fn r13_what_a_rule_in_shadow_let_through_fulfils_nothing() {
    let mut configuration = tasks();
    let public = json!({"table": {"in": ["public"]}});
    configuration["policies"]["ledger"]["tools"]["act"] = json!([
        {
            "require": {"scopes": ["audit:read"], "arguments": public},
            "delegation": {"scope": "ledger:Raw"},
        },
        {
            "enforcement": "shadow", "require": {"scopes": ["pii:read"], "arguments": public},
            "delegation": {"scope": "ledger:Redacted"},
        },
    ]);
    let mut stage = Stage::with(configuration);
    let auditor = token(json!({"scope": "mcp:connect audit:read"}));
    let (task, rule) = make(&mut stage, &auditor, json!({"table": "secret"}));
    assert_eq!(rule, "ledger.tools.act[1]");
    assert_eq!(follow(&mut stage, &auditor, &task), Ok("ledger.tools.act[1]".to_owned()));
}

#[test]
fn r13_what_is_asked_of_arguments_is_told_apart_to_the_letter() {
    let act = |condition: Value| {
        let mut configuration = tasks();
        configuration["policies"]["ledger"]["tools"]["act"] =
            json!({"require": {"arguments": {"o": condition}}, "delegation": {"scope": "a"}});
        Stage::with(configuration)
    };
    let one = json!({"members": {"a": {"members": {"b": {"max": 1}}}, "c": {"max": 2}}});
    let other = json!({"members": {"a": {"members": {"b": {"max": 1}, "c": {"max": 2}}}}});
    let sarah = token(json!({}));
    let arguments = json!({"o": {"a": {"b": 1}, "c": 2}});
    let (task, _) = make(&mut act(one.clone()), &sarah, arguments);
    assert_eq!(follow(&mut act(one), &sarah, &task), Ok("ledger.tools.act".to_owned()));
    assert_eq!(follow(&mut act(other), &sarah, &task), Err(403));
}

#[test]
fn a_token_for_a_task_is_bound_to_its_tool() {
    let mut configuration = tasks();
    configuration["policies"]["ledger"]["tools"]["act"] = json!({"delegation": {
        "scope": "ledger:Act",
        "authorization_details": {"type": "act", "arguments": ["owner"]},
    }});
    let mut stage = Stage::with(configuration);
    let sarah = token(json!({}));
    let params = json!({"name": "act", "task": {}, "arguments": {"owner": "sarah"}});
    let asked = |step: Step| -> Value {
        let details = field(&step.callout(), "authorization_details").unwrap();
        serde_json::from_str(&details).unwrap()
    };
    let (_, step) = ask(&mut stage, &sarah, "/mcp", "tools/call", params);
    let details = json!([{
        "type": "act", "locations": [AUDIENCE], "identifier": "act", "arguments": {"owner": "sarah"},
    }]);
    assert_eq!(asked(step), details);
    let owner = Binding {
        purpose: Purpose::Task,
        issuer: ISSUER,
        subject: SARAH,
        client: "cli",
        endpoint: "/mcp",
    };
    let sealed = stage.shared.config.sessions.seal(owner, "act::task-1").unwrap();
    let (_, step) = ask(&mut stage, &sarah, "/mcp", "tasks/result", json!({ "taskId": sealed }));
    let details = json!([{
        "type": "act", "locations": [AUDIENCE], "identifier": "act", "arguments": {},
    }]);
    assert_eq!(asked(step), details);
}

#[test]
fn s05_a_call_gives_the_client_no_task_but_the_one_that_it_makes() {
    let mut stage = Stage::with(tasks());
    let sarah = token(json!({}));
    let status = |id: &str| json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": id}});
    let created = json!({"jsonrpc": "2.0", "id": 7, "result": {"task": {"taskId": ID}}});
    for (task, made) in [(json!({}), true), (Value::Null, false)] {
        let params = merge(json!({"name": "listAccounts"}), json!({ "task": task }));
        let (mut stream, step) = ask(&mut stage, &sarah, "/mcp", "tools/call", params);
        stream.go_up(&mut stage, step);
        let headers = [(":status", "200"), ("content-type", "text/event-stream")];
        let Step::Filter { .. } = stream.response(&mut stage, &headers) else { panic!() };
        let mut passes = |message: &Value| {
            let event = format!("data: {message}\n\n");
            let Step::Replace(out) = stream.chunk(&mut stage, event.as_bytes(), false) else {
                panic!()
            };
            out != b"\n"
        };
        assert!(!passes(&status("task-of-somebody-else")));
        assert!(!passes(&status(ID)), "nor before it is known to be made");
        assert_eq!(passes(&created), made);
    }
}

#[test]
fn r13_the_tasks_of_a_tool_whose_rule_is_withdrawn_are_denied() {
    let sarah = token(json!({}));
    let sealed = create(&mut Stage::with(tasks()), &sarah, "listAccounts");
    let mut configuration = tasks();
    configuration["policies"]["ledger"]["tools"].as_object_mut().unwrap().remove("listAccounts");
    let mut stage = Stage::with(configuration);
    let denied = "Access denied: no rule allows the tool listAccounts.";
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let (_, step) = ask(&mut stage, &sarah, "/mcp", method, json!({"taskId": sealed}));
        assert_eq!(body(&step.reply())["error"]["message"], denied, "{method}");
    }
    let listen = json!({"notifications": {"taskIds": [sealed]}});
    let (_, step) = ask_stateless(&mut stage, &sarah, "subscriptions/listen", listen);
    assert_eq!(body(&step.reply())["error"]["message"], denied);
}
