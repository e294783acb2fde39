//! Messages and names that servers read differently (classes `jsonrpc` and `names`).

use super::*;

#[test]
fn j08_control_characters_in_significant_values_are_refused() {
    for (method, params) in [
        ("tools/call", r#"{"name":"secret_tool\u0000"}"#),
        ("prompts/get", r#"{"name":"p\n"}"#),
        ("resources/read", r#"{"uri":"file:///a\u0000b"}"#),
        ("resources/read", r#"{"uri":"file:///a\u007fb"}"#),
        ("tools/list", r#"{"cursor":"a\u0000"}"#),
        ("tasks/get", r#"{"taskId":"a\r\nb"}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"p\u0000"}}"#),
        ("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":["a\u0000"]}}"#),
    ] {
        let (revision, body) = request_in(Method::from_name(method).unwrap(), params);
        refused_in(revision, "J08", body, 400, -32602);
    }
}

#[test]
fn j09_the_unescaped_value_decides() {
    let body = request(r#""method":"tools\/call","params":{"name":"secret\u005ftool"}"#);
    assert_eq!(tool("J09", body), "secret_tool");
    let body = request(r#""\u006dethod":"tools/call","p\u0061rams":{"n\u0061me":"a"}"#);
    assert_eq!(tool("J09", body), "a");
}

#[test]
fn j17_j18_r04_ids_are_strings_or_safe_integers() {
    for (row, id) in [
        ("J17", "9223372036854775808123"),
        ("J17", "9007199254740992"),
        ("J17", "9007199254740993"),
        ("J17", "-9007199254740992"),
        ("J17", "18446744073709551615"),
        ("J17", r#""a\u0000""#),
        ("J17", r#""a\nb""#),
        ("J18", "1.0"),
        ("J18", "1.5"),
        ("J18", "1e0"),
        ("J18", "-0"),
        ("R04", "null"),
        ("R04", "{}"),
        ("R04", "[]"),
        ("R04", "[1]"),
        ("R04", "true"),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let error = refused(row, body, 400, -32600);
        assert_eq!(error, BodyError::InvalidRequest { id: None, member: "id" }, "{row}: {id}");
    }
    not_json("J17", r#"{"jsonrpc":"2.0","id":1e999,"method":"ping"}"#, JsonError::Syntax);
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "a".repeat(257));
    refused("J17", long, 400, -32600);
}

#[test]
fn ids_serialise_to_what_they_were() {
    let longest = format!("\"{}\"", "a".repeat(256));
    for id in
        ["0", "-1", "9007199254740991", "-9007199254740991", r#""""#, r#""é \" \\""#, &longest]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let read = read(body).unwrap().id.unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), id);
    }
}

#[test]
fn n01_j26_names_are_plain_ascii() {
    for name in [
        "s\u{435}cret_tool",
        "secret\u{200d}_tool",
        "\u{202e}loot_terces",
        "\u{ff53}ecret_tool",
        "cafe\u{301}",
        "caf\u{e9}",
        "",
        "a b",
        " a",
        "a/b",
        "a*",
        "secret+AF8-tool",
        "a:b",
        &"a".repeat(129),
    ] {
        for method in ["tools/call", "prompts/get"] {
            let body = request(&format!(r#""method":"{method}","params":{{"name":"{name}"}}"#));
            let error = refused("N01", body, 400, -32602);
            assert_eq!(error, BodyError::InvalidName { id: Some(Id::Number(1)) }, "N01: {name}");
        }
    }
    let longest = "a".repeat(128);
    for name in ["greet", "A-Z_a.z-09", "-", &longest] {
        assert_eq!(tool("N01", call(&format!(r#"{{"name":"{name}"}}"#))), name);
    }
}

#[test]
fn n03_names_are_not_normalised() {
    for name in ["db_admin", "DB_admin", "server1__tool", "server1_._tool", "__proto__"] {
        assert_eq!(tool("N03", call(&format!(r#"{{"name":"{name}"}}"#))), name);
    }
}

#[test]
fn j27_anything_but_an_object_is_refused() {
    for body in ["", " \r\n\t", "null", "1", "\"x\"", "true", "-1.5"] {
        assert_eq!(refused("J27", body, 400, -32600), BodyError::NotAnObject, "J27: {body:?}");
    }
    let error = refused("J27", "{}", 400, -32600);
    assert_eq!(error, BodyError::InvalidRequest { id: None, member: "jsonrpc" });
}

#[test]
fn r01_batches_are_refused_by_every_revision_but_the_first() {
    let one = call(r#"{"name":"secret_tool","arguments":{"name":"x"}}"#);
    for revision in [Revision::June2025, Revision::November2025, Revision::July2026] {
        for body in [format!("[{one}]"), format!(" \n[{one},{one}]"), "[]".into(), "[1]".into()] {
            let error = refused_in(revision, "R01", body, 400, -32600);
            assert!(matches!(error, BodyError::Batch(_)), "{error:?}");
        }
    }
    not_json("R01", format!("[{one},]"), JsonError::Syntax);
}

fn batch(messages: &[String]) -> Result<Body, BodyError> {
    let body = format!("[{}]", messages.join(","));
    parse(body.as_bytes(), Revision::March2025)
}

#[test]
fn r01_each_message_of_a_batch_is_read_like_one_alone() {
    let ping = |id: usize| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let tool = call(r#"{"name":"greet","arguments":{"id":[{"method":"x"}]}}"#);
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#.to_owned();
    let alone = [&tool, &cancelled, &ping(2)].map(|body| read(body).unwrap());
    assert_eq!(batch(&[tool.clone(), cancelled, ping(2)]), Ok(Body::Batch(alone.into())));

    let many = |count| batch(&(0..count).map(ping).collect::<Vec<_>>());
    assert!(matches!(many(50), Ok(Body::Batch(operations)) if operations.len() == 50));
    for count in [0, 51, 52, 1_000] {
        assert_eq!(many(count), Err(BodyError::Batch("a batch has 1 to 50 messages")));
    }
    let twice = batch(&[ping(1), ping(1)]);
    assert_eq!(twice, Err(BodyError::Batch("two requests of the batch have the same id")));
    let initialize = r#"{"jsonrpc":"2.0","id":3,"method":"initialize"}"#.to_owned();
    let refused = batch(&[ping(1), initialize]);
    assert_eq!(refused, Err(BodyError::Batch("a batch cannot contain `initialize`")));
}

#[test]
fn r01_one_bad_message_spoils_the_batch_and_the_answer_has_no_id() {
    let good = call(r#"{"name":"greet"}"#);
    for (bad, status, code) in [
        ("1", 400, -32600),
        ("[]", 400, -32600),
        (&*format!("[{good}]"), 400, -32600),
        ("{}", 400, -32600),
        (r#"{"jsonrpc":"2.0","id":2,"result":{}}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"ping","result":{}}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"tools/Call"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"tasks/list"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}"#, 400, -32602),
        (r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a/b"}}"#, 400, -32602),
        (r#"{"jsonrpc":"2.0","id":2,"method":"ping","method":"ping"}"#, 400, -32700),
        (r#"{"jsonrpc":"2.0","id":2,"Method":"ping"}"#, 400, -32700),
    ] {
        for body in [format!("[{bad},{good}]"), format!("[{good},{bad}]")] {
            let error = refused_in(Revision::March2025, "R01", body, status, code);
            assert_eq!(error.id(), None, "{bad}");
        }
    }
}

#[test]
fn jsonrpc_must_be_the_string_2_0() {
    for version in ["2.0", "2", "\"2\"", "\"1.0\"", "\"2.00\"", "null", "[\"2.0\"]", "\"2.0 \""] {
        let body = format!(r#"{{"jsonrpc":{version},"id":1,"method":"ping"}}"#);
        let error = refused("jsonrpc", body, 400, -32600);
        assert_eq!(error.id(), Some(&Id::Number(1)), "{version}");
    }
    refused("jsonrpc", r#"{"id":1,"method":"ping"}"#, 400, -32600);
    let escaped = r#"{"jsonrpc":"2\u002e0","id":1,"method":"ping"}"#;
    assert_eq!(read(escaped).map(|operation| operation.method), Ok(Method::Ping));
}

#[test]
fn r03_requests_need_an_id_and_notifications_have_none() {
    for &method in Method::ALL {
        let name = method.as_str();
        for revision in Revision::ALL.into_iter().filter(|revision| method.is_in(*revision)) {
            if method.is_notification() {
                let body = request(&format!(r#""method":"{name}""#));
                refused_in(revision, "R03", body, 404, -32601);
                continue;
            }
            let body = format!(r#"{{"jsonrpc":"2.0","method":"{name}","params":{{"name":"a"}}}}"#);
            let error = refused_in(revision, "R03", body, 400, -32600);
            assert_eq!(error, BodyError::InvalidRequest { id: None, member: "id" }, "R03: {name}");
        }
    }
}

#[test]
fn r05_a_request_that_is_also_a_response_is_refused() {
    for members in [
        r#""method":"tools/call","params":{"name":"a"},"result":{}"#,
        r#""method":"tools/call","params":{"name":"a"},"error":{"code":1,"message":""}"#,
        r#""method":"ping","result":null"#,
        r#""method":"ping","error":null"#,
        r#""method":null,"result":{}"#,
        r#""result":{},"error":{}"#,
    ] {
        let error = refused("R05", request(members), 400, -32600);
        assert!(matches!(error, BodyError::InvalidRequest { .. }), "R05: {members}: {error:?}");
    }
    refused("R05", r#"{"jsonrpc":"2.0","method":"ping","result":{}}"#, 400, -32600);
    refused("R05", r#"{"jsonrpc":"2.0","result":{}}"#, 400, -32600);
}

#[test]
fn r06_responses_are_refused() {
    for member in [r#""result":{}"#, r#""result":null"#, r#""error":{"code":1,"message":""}"#] {
        let error = refused("R06", request(member), 400, -32600);
        assert!(matches!(error, BodyError::Response { .. }), "R06: {member}");
        assert_eq!(error.id(), None, "a response's id is not the client's own");
    }
}

#[test]
fn r07_r13_unknown_methods_are_refused() {
    for (row, method) in [
        ("R07", "tools/call "),
        ("R07", " tools/call"),
        ("R07", "Tools/Call"),
        ("R07", "/tools/call"),
        ("R07", "tools//call"),
        ("R07", "tools/call\\u0000"),
        ("R07", "tools\\u2215call"),
        ("R07", "tool\u{17f}/call"),
        ("R07", ""),
        ("R13", "sampling/createMessage"),
        ("R13", "elicitation/create"),
        ("R13", "roots/list"),
        ("R13", "x.y/z"),
        ("R13", "notifications/x"),
        ("R13", "notifications/resources/updated"),
    ] {
        let error = refused(row, request(&format!(r#""method":"{method}""#)), 404, -32601);
        assert_eq!(error, BodyError::UnknownMethod { id: Some(Id::Number(1)) }, "{row}: {method}");
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
        assert_eq!(refused(row, body, 404, -32601), BodyError::UnknownMethod { id: None });
    }
    for method in ["null", "1", "[\"ping\"]", "{}"] {
        let error = refused("R07", request(&format!(r#""method":{method}"#)), 400, -32600);
        assert_eq!(error.id(), Some(&Id::Number(1)), "R07: {method}");
    }
    refused("R07", r#"{"jsonrpc":"2.0","id":1}"#, 400, -32600);
}

#[test]
fn r09_params_are_an_object() {
    for params in [r#"["secret_tool",{}]"#, r#""{\"name\":\"secret_tool\"}""#, "null", "1", "true"]
    {
        let expected = BodyError::InvalidParams { id: Some(Id::Number(1)), member: "params" };
        assert_eq!(refused("R09", call(params), 400, -32602), expected, "R09: {params}");
        let list = request(&format!(r#""method":"tools/list","params":{params}"#));
        assert_eq!(refused("R09", list, 400, -32602), expected, "R09: {params}");
    }
}

#[test]
fn r10_arguments_are_an_object_or_null() {
    for arguments in [r#""x""#, "[]", "1", "false"] {
        let params = format!(r#"{{"name":"a","arguments":{arguments}}}"#);
        let member = "params.arguments";
        let expected = BodyError::InvalidParams { id: Some(Id::Number(1)), member };
        assert_eq!(refused("R10", call(&params), 400, -32602), expected, "R10: {arguments}");
    }
    assert_eq!(tool("R10", call(r#"{"name":"a","arguments":null}"#)), "a");
}

#[test]
fn r12_no_request_has_the_id_of_a_stream() {
    let body = r#"{"jsonrpc":"2.0","id":"_GET_stream","method":"ping"}"#;
    let error = refused("R12", body, 400, -32600);
    assert_eq!(error, BodyError::InvalidRequest { id: None, member: "id" });
    for id in ["_get_stream", "GET_stream", ""] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#);
        assert!(parse(body.as_bytes(), Revision::November2025).is_ok());
    }
}
