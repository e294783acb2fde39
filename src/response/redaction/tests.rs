//! What is withheld and what stays; rows P17 and P18 of the attack list.

#![allow(clippy::arithmetic_side_effects, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::*;
use crate::mcp::List;

fn redact(message: &str) -> Result<String, JsonError> {
    let redaction = Redaction::of(["ssn", "dateOfBirth", "Größe"]);
    redaction.apply(message.as_bytes()).map(|redacted| redacted.text)
}

fn result(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{members}}}}}"#)
}

/// What is left of the members of a result.
#[track_caller]
fn left(members: &str) -> String {
    let redacted = redact(&result(members)).unwrap();
    serde_json::from_str::<Value>(&redacted).unwrap();
    let left = redacted.strip_prefix(r#"{"jsonrpc":"2.0","id":1,"result":{"#).unwrap();
    left.strip_suffix("}}").unwrap().to_owned()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn p17_a_value_is_withheld_in_every_copy() {
    let data = json!({"name": "Sarah", "ssn": "078-05-1120"});
    let redacted = json!({"name": "Sarah", "ssn": "[redacted]"});
    let message = |data: &Value, resource: &Value| {
        json!({"jsonrpc": "2.0", "id": "ssn", "result": {
            "structuredContent": data,
            "content": [
                {"type": "text", "text": data.to_string()},
                {"type": "resource", "resource": {"uri": "a:b", "text": data.to_string()}},
                {"type": "resource", "resource": resource},
            ],
            "contents": [{"uri": "a:b", "text": json!([data]).to_string()}],
            "messages": [{"role": "user", "content": {"type": "text", "text": data.to_string()}}],
            "result": {"structuredContent": data},
            "other": {"deep": [[data]]},
            "_meta": {"example/copy": data, "text": "kept"},
            "isError": false,
        }})
    };
    let blob = |of: &str| json!({"uri": "a:b", "mimeType": "application/json", "blob": of});
    let server = message(&data, &blob("eyJzc24iOiIwNzgifQ=="));
    let client = message(&redacted, &blob("W3JlZGFjdGVkXQ=="));
    let redaction = Redaction::of(["ssn"]);
    let out = redaction.apply(server.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&out.text).unwrap(), client);
    assert_eq!(out.count, 9);
}

#[test]
fn p17_free_text_is_withheld_and_structured_data_is_not() {
    for (members, expected) in [
        (r#""text":"SSN 078""#, r#""text":"[redacted]""#),
        (r#""text":"\"078\"""#, r#""text":"[redacted]""#),
        (r#""text":"078""#, r#""text":"[redacted]""#),
        (r#""text":"null""#, r#""text":"[redacted]""#),
        (r#""text":"{\"a\":1,\"a\":2}""#, r#""text":"[redacted]""#),
        (r#""text":"{\"a\":1} and more""#, r#""text":"[redacted]""#),
        (r#""text":"\ufeff{}""#, r#""text":"[redacted]""#),
        (r#""text":"{\"n\":1e999}""#, r#""text":"[redacted]""#),
        (r#""text":["a",{"text":"b"}]"#, r#""text":["[redacted]",{"text":"[redacted]"}]"#),
        (r#""TEXT":"a","teXt":1"#, ""),
        (r#""Text":"a""#, r#""Text":"[redacted]""#),
        (r#""t\u0065xt":"a""#, r#""t\u0065xt":"[redacted]""#),
        (r#""statusMessage":"a""#, r#""statusMessage":"[redacted]""#),
        (r#""description":"a","title":"b""#, r#""description":"[redacted]","title":"[redacted]""#),
        (r#""completion":{"values":["078"]}"#, r#""completion":{"values":["[redacted]"]}"#),
        (r#""data":78,"ok":78"#, r#""data":null,"ok":78"#),
        (r#""text":"","blob":"""#, r#""text":"","blob":"W3JlZGFjdGVkXQ==""#),
        (r#""text":" [ ] ""#, r#""text":" [ ] ""#),
        (
            r#""structuredContent":{"text":"a","note":"b","blob":"c","type":"image"}"#,
            r#""structuredContent":{"text":"a","note":"b","blob":"c","type":"image"}"#,
        ),
        (r#""StructuredContent":{"text":"a"}"#, r#""StructuredContent":{"text":"a"}"#),
        // What is no object, SDKs give the name `result`.
        (
            r#""structuredContent":{"result":"078"}"#,
            r#""structuredContent":{"result":"[redacted]"}"#,
        ),
        (
            r#""structuredContent":{"Result":"078"}"#,
            r#""structuredContent":{"Result":"[redacted]"}"#,
        ),
        (r#""structuredContent":{"result":78}"#, r#""structuredContent":{"result":null}"#),
        (
            r#""structuredContent":{"result":["078",7,true,["078"],{"name":"a","result":"b","ssn":1}]}"#,
            r#""structuredContent":{"result":["[redacted]",null,true,["[redacted]"],{"name":"a","result":"b","ssn":null}]}"#,
        ),
        (
            r#""structuredContent":{"result":"{\"name\":\"a\",\"ssn\":1}"}"#,
            r#""structuredContent":{"result":"{\"name\":\"a\",\"ssn\":null}"}"#,
        ),
        (
            r#""structuredContent":{"result":"[\"078\",{\"name\":\"a\"}]"}"#,
            r#""structuredContent":{"result":"[\"[redacted]\",{\"name\":\"a\"}]"}"#,
        ),
        (r#""text":"[[\"a\",78,true]]""#, r#""text":"[[\"[redacted]\",null,true]]""#),
        (r#""text":"{\"result\":\"078\"}""#, r#""text":"{\"result\":\"[redacted]\"}""#),
        (r#""text":"{\"result\":[78]}""#, r#""text":"{\"result\":[null]}""#),
        (
            r#""text":"[{\"name\":\"a\",\"ids\":[7]}]""#,
            r#""text":"[{\"name\":\"a\",\"ids\":[7]}]""#,
        ),
        (
            r#""structuredContent":{"result":{"name":"a"}}"#,
            r#""structuredContent":{"result":{"name":"a"}}"#,
        ),
        (r#""structuredContent":"078""#, r#""structuredContent":"[redacted]""#),
        (r#""structuredcontent":["078",78]"#, r#""structuredcontent":["[redacted]",null]"#),
        (r#""content":"078""#, r#""content":"[redacted]""#),
        (r#""toolResult":"078""#, r#""toolResult":"[redacted]""#),
        (
            r#""content":[{"data":"QQ==","type":"image","mimeType":"image/png"},{"type":"audio","data":"QQ=="}]"#,
            r#""content":[{"type":"text","text":"[redacted]"},{"type":"text","text":"[redacted]"}]"#,
        ),
        (
            r#""content":[{"type":"resource_link","uri":"a:b","name":"c","description":"d"}]"#,
            r#""content":[{"type":"resource_link","uri":"a:b","name":"c","description":"[redacted]"}]"#,
        ),
    ] {
        if expected.is_empty() {
            assert_eq!(redact(&result(members)), Err(JsonError::DuplicateMember));
        } else {
            assert_eq!(left(members), expected, "{members}");
        }
    }
}

#[test]
fn p17_errors_notifications_and_requests_of_the_server_are_redacted() {
    for (message, expected) in [
        (
            r#"{"id":1,"error":{"code":-32000,"message":"no 078","data":{"ssn":7,"a":"b"}}}"#,
            r#"{"id":1,"error":{"code":-32000,"message":"[redacted]","data":{"ssn":null,"a":"b"}}}"#,
        ),
        (r#"{"id":1,"error":{"data":"078"}}"#, r#"{"id":1,"error":{"data":"[redacted]"}}"#),
        (r#"{"id":1,"error":"078"}"#, r#"{"id":1,"error":"[redacted]"}"#),
        (r#"{"detail":"078","code":7}"#, r#"{"detail":"[redacted]","code":null}"#),
        (
            r#"{"method":"notifications/message","params":{"level":"info","data":"078"}}"#,
            r#"{"method":"notifications/message","params":{"level":"info","data":"[redacted]"}}"#,
        ),
        (
            r#"{"method":"notifications/message","params":{"data":{"msg":"078","extra":{"a":"b"}}}}"#,
            r#"{"method":"notifications/message","params":{"data":{"msg":"[redacted]","extra":{"a":"b"}}}}"#,
        ),
        (
            r#"{"method":"notifications/message","params":{"data":{"user":{"SSN":"078"}}}}"#,
            r#"{"method":"notifications/message","params":{"data":{"user":{"SSN":"[redacted]"}}}}"#,
        ),
        (
            r#"{"method":"notifications/progress","params":{"progress":1,"message":"078"}}"#,
            r#"{"method":"notifications/progress","params":{"progress":1,"message":"[redacted]"}}"#,
        ),
        (
            r#"{"id":2,"method":"elicitation/create","params":{"message":"078?","requestedSchema":{"title":"a"}}}"#,
            r#"{"id":2,"method":"elicitation/create","params":{"message":"[redacted]","requestedSchema":{"title":"a"}}}"#,
        ),
        (
            r#"[{"id":1,"result":{"ssn":"078"}},{"id":2,"result":{"ssn":[1]}}]"#,
            r#"[{"id":1,"result":{"ssn":"[redacted]"}},{"id":2,"result":{"ssn":null}}]"#,
        ),
        (r#"{"ssn":"078"}"#, r#"{"ssn":"[redacted]"}"#),
    ] {
        assert_eq!(redact(message).as_deref(), Ok(expected));
    }
}

#[test]
fn p18_names_are_found_however_they_are_written_and_nested() {
    for (data, expected) in [
        (r#"{"ssn":"078"}"#, r#"{"ssn":"[redacted]"}"#),
        (r#"{"SSN":"078","\u017fsN2":1}"#, r#"{"SSN":"[redacted]","\u017fsN2":1}"#),
        (r#"{"s\u0073n":"078"}"#, r#"{"s\u0073n":"[redacted]"}"#),
        (r#"{"ſsn":"078"}"#, r#"{"ſsn":"[redacted]"}"#),
        (r#"{"DATEOFBIRTH":{"y":1984}}"#, r#"{"DATEOFBIRTH":null}"#),
        (r#"{"Größe":"1"}"#, r#"{"Größe":"[redacted]"}"#),
        (r#"{"GRÖẞE":"1"}"#, r#"{"GRÖẞE":"[redacted]"}"#),
        (r#"[[{"a":[{"ssn" : [ 1 , 2 ] }]}]]"#, r#"[[{"a":[{"ssn" : null }]}]]"#),
        (r#"{"ssn":"}\"]","b":"\\"}"#, r#"{"ssn":"[redacted]","b":"\\"}"#),
        (
            r#"{"ssn":78051120,"b":{"ssn":true},"c":{"ssn":null}}"#,
            r#"{"ssn":null,"b":{"ssn":null},"c":{"ssn":null}}"#,
        ),
        (r#"{"ssn":{"ssn":1},"notssn":1,"ssn2":2}"#, r#"{"ssn":null,"notssn":1,"ssn2":2}"#),
    ] {
        for (before, after) in [
            (r#""structuredContent":"#.to_owned(), String::new()),
            (r#""content":[{"type":"text","text":"#.to_owned(), "}]".to_owned()),
        ] {
            let quote = |data: &str| if after.is_empty() { data.to_owned() } else { quoted(data) };
            let server = format!("{before}{}{after}", quote(data));
            assert_eq!(left(&server), format!("{before}{}{after}", quote(expected)), "{data}");
        }
    }
}

#[test]
fn p18_every_other_byte_stays() {
    for data in [
        r#"{"z":1,"a":2,"n":[12345678901234567890123,1.10,-0,1E+2,0.1234567890123456789]}"#,
        "{ \"a\" :\t[ ] ,\r\n \"b\" : { } , \"c\":\"\\u0041\\/\" }",
        r#"{"quote":"\\\"{","price":122.416294033786585}"#,
    ] {
        let same = format!(r#""structuredContent":{data}"#);
        assert_eq!(left(&same), same);
        let with = |ssn: &str| format!(r#""structuredContent":[{data},{{"ssn":{ssn}}},{data}]"#);
        assert_eq!(left(&with("1")), with("null"));
    }
}

#[test]
fn p18_json_in_strings_is_looked_through_four_deep() {
    let nest = |value: &str, depth: usize| {
        (0..depth).fold(value.to_owned(), |inner, _| format!(r#"{{"a":{}}}"#, quoted(&inner)))
    };
    let text = |of: &str| format!(r#""content":[{{"type":"text","text":{}}}]"#, quoted(of));
    for depth in 0..4 {
        let (server, client) = (r#"{"ssn":"078"}"#, r#"{"ssn":"[redacted]"}"#);
        assert_eq!(left(&text(&nest(server, depth))), text(&nest(client, depth)), "{depth}");
        let data = |value: &str| format!(r#""structuredContent":{}"#, nest(value, depth));
        assert_eq!(left(&data(server)), data(client), "{depth}");
    }
    for depth in 4..7 {
        let out = left(&text(&nest(r#"{"ssn":"078"}"#, depth)));
        assert!(!out.contains("ssn") && out.contains("[redacted]"), "{out}");
    }
    // A string of a string.
    let twice = format!(r#""structuredContent":{{"a":{}}}"#, quoted(&quoted(r#"{"ssn":"078"}"#)));
    assert!(!left(&twice).contains("078"));
    // What begins like JSON could be some to a reader that is less strict.
    for odd in [
        r#"{"ssn":"078","ssn":"078"}"#,
        r#"{"ssn":"078",}"#,
        r#"{"ssn":"078","n":NaN}"#,
        r#"{"ssn":"078","n":1e999}"#,
        r#"{"ssn":"078","s":"\ud800"}"#,
        "\u{feff}{\"ssn\":\"078\"}",
        &format!(r#"{}{{"ssn":"078"}}{}"#, "[".repeat(200), "]".repeat(200)),
    ] {
        let out = left(&format!(r#""structuredContent":{{"a":{}}}"#, quoted(odd)));
        assert_eq!(out, r#""structuredContent":{"a":"[redacted]"}"#, "{odd}");
    }
}

#[test]
fn a_table_of_thirty_thousand_rows_is_redacted() {
    let table = |ssn: &str| {
        let row =
            format!(r#"{{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"ssn":{ssn}}}"#);
        format!(r#""structuredContent":{{"rows":[{}]}}"#, vec![row; 30_000].join(","))
    };
    assert!(left(&table("7")) == table("null"));
}

#[test]
fn p18_what_parsers_read_differently_is_refused() {
    let deep = format!(r#""a":{}{}"#, "[".repeat(63), "]".repeat(63));
    for (members, expected) in [
        (r#""ssn":"1","ssn":"2""#, JsonError::DuplicateMember),
        (r#""a":{"ssn":"1","SSN":"2"}"#, JsonError::DuplicateMember),
        (r#""a":{"ssn":"1","s\u0073n":"2"}"#, JsonError::DuplicateMember),
        (r#""ssn\u0000":"1""#, JsonError::ControlCharacter),
        (r#""a":1e400"#, JsonError::Syntax),
        (r#""a":"\ud800""#, JsonError::Syntax),
        (&deep, JsonError::TooDeep),
    ] {
        assert_eq!(redact(&result(members)), Err(expected), "{members}");
    }
    for text in ["", "{", "ssn", "{}{}", "{\"a\":1}x"] {
        assert_eq!(redact(text), Err(JsonError::Syntax), "{text:?}");
    }
    assert_eq!(redact("\u{feff}{}"), Err(JsonError::ByteOrderMark));
    let invalid = Redaction::of(["ssn"]).apply(b"{\"a\":\"\xff\"}");
    assert_eq!(invalid, Err(JsonError::NotUtf8));
}

#[test]
fn the_message_itself_stays_one_whatever_is_redacted() {
    let redaction = Redaction::of(["id", "result", "method", "jsonrpc"]);
    let message = r#"{"jsonrpc":"2.0","id":"a","result":{"id":"b","result":{"c":1}}}"#;
    let redacted = redaction.apply(message.as_bytes()).unwrap();
    let expected = r#"{"jsonrpc":"2.0","id":"a","result":{"id":"[redacted]","result":null}}"#;
    assert_eq!((&*redacted.text, redacted.count), (expected, 2));
}

/// Any value; the next of a fixed sequence, so that a failure repeats.
fn arbitrary(state: &mut u32, depth: usize) -> Value {
    let mut pick = |below: usize| {
        *state ^= *state << 13;
        *state ^= *state >> 17;
        *state ^= *state << 5;
        *state as usize % below
    };
    let names = ["ssn", "SSN", "ſsn", "dateOfBirth", "a", "b\"}", "text", "type", "\u{e9}"];
    let strings = ["", "image", "078", "a\"b\\", "\u{2028}", "]}", "x,y: z"];
    match pick(if depth == 0 { 4 } else { 7 }) {
        0 => json!(pick(1000)),
        1 => json!(pick(2) == 0),
        2 => Value::Null,
        3 => json!(strings[pick(strings.len())]),
        4 => (0..pick(4)).map(|_| arbitrary(state, depth - 1)).collect(),
        5 => json!(arbitrary(state, depth - 1).to_string()),
        _ => {
            let chosen: Vec<_> = (0..pick(4)).map(|_| names[pick(names.len())]).collect();
            let mut seen = BTreeSet::new();
            let unique = chosen.into_iter().filter(|name| seen.insert(folded((*name).into())));
            unique.map(|name| (name.to_owned(), arbitrary(state, depth - 1))).collect()
        }
    }
}

/// The same on values: slow and plain.
fn model(value: Value) -> Value {
    let member = |(name, value): (String, Value)| {
        let is_redacted = ["ssn", "ſsn", "dateofbirth"].contains(&&*name.to_lowercase());
        let value = match value {
            Value::String(_) if is_redacted => json!("[redacted]"),
            _ if is_redacted => Value::Null,
            value => model(value),
        };
        (name, value)
    };
    match value {
        Value::Array(elements) => elements.into_iter().map(model).collect(),
        Value::Object(members) => members.into_iter().map(member).collect(),
        Value::String(text) if text.starts_with(['{', '[', '"']) => {
            json!(model(serde_json::from_str(&text).unwrap()).to_string())
        }
        other => other,
    }
}

#[test]
fn what_is_left_is_what_a_naive_model_leaves() {
    let mut state = 0x2545_f491;
    let mut withheld = 0;
    for _ in 0..20_000 {
        let value = arbitrary(&mut state, 4);
        let message = json!({"result": {"structuredContent": {"value": value}}}).to_string();
        let redacted = redact(&message).unwrap();
        let left: Value = serde_json::from_str(&redacted).unwrap();
        assert_eq!(left["result"]["structuredContent"]["value"], model(value), "{message}");
        withheld += usize::from(redacted != message);
    }
    assert!(withheld > 1_000, "{withheld}");
}

fn whole(longest: usize, chunks: &[&[u8]]) -> Result<Vec<u8>, ResponseError> {
    let redact = |message: &[u8]| {
        let text = std::str::from_utf8(message).map_err(|_| JsonError::NotUtf8)?;
        Ok(text.replace("078", "xxx"))
    };
    let view = View {
        shows: &|_: List, key| key != "hidden",
        seal: &|id, _| Ok(format!("sealed-{id}")),
        redact: Some(&redact),
    };
    let (mut filter, mut out) = (WholeFilter::new(longest), Vec::new());
    for chunk in chunks {
        filter.chunk(chunk, view, &mut out)?;
    }
    filter.finish().map(|()| out)
}

#[test]
fn a_message_passes_whole_redacted_and_then_filtered() {
    let text = r#" {"result":{"a":"078","taskId":"t","tools":[{"name":"hidden"}]}} "#.as_bytes();
    let expected = br#"{"result":{"a":"xxx","taskId":"sealed-t","tools":[]}}"#.to_vec();
    for split in 0..=text.len() {
        let (before, after) = text.split_at(split);
        assert_eq!(whole(100, &[before, b"", after]), Ok(expected.clone()), "split at {split}");
    }
    let one: Vec<_> = text.chunks(1).collect();
    assert_eq!(whole(100, &one), Ok(expected));
    assert_eq!(whole(10, &one), Err(ResponseError::TooLarge));
    assert_eq!(whole(100, &[&text[..40]]), Err(ResponseError::Truncated));
    for more in ["{}", "x", " ]"] {
        let syntax = Err(ResponseError::Json(JsonError::Syntax));
        assert_eq!(whole(100, &[text, more.as_bytes()]), syntax);
        assert_eq!(whole(100, &[&[text, more.as_bytes()].concat()]), syntax);
    }
    assert_eq!(whole(100, &[b"", b" \n"]), Ok(Vec::new()));
    assert_eq!(whole(100, &[b"078-05"]), Err(ResponseError::NotAMessage), "and does not wait");
}
