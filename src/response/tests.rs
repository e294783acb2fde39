//! Framing and splitting, at every split of the input; rows P01 to P16 of the attack list.

use std::collections::BTreeSet;

use super::*;
use crate::json::JsonError;
use crate::mcp::List;
use crate::task::TaskError;

/// Shows everything whose key does not contain `hidden`, and knows tasks whose id begins with `t`.
const VIEW: View = View {
    shows: &|_, key| !key.contains("hidden"),
    seal: &|id| match id {
        _ if id.starts_with('t') => Ok(format!("sealed-{id}")),
        _ if id.starts_with('m') => Err(TaskError::Malformed),
        _ => Err(TaskError::Unasked),
    },
    redact: None,
};

fn message() -> BodyFilter {
    BodyFilter::Message(ListFilter::new(LONGEST))
}

fn events() -> BodyFilter {
    BodyFilter::Events(EventFilter::new(LONGEST))
}

fn run(filter: fn() -> BodyFilter, chunks: &[&[u8]]) -> Result<String, ResponseError> {
    let (mut filter, mut out) = (filter(), Vec::new());
    for chunk in chunks {
        out.extend(filter.chunk(chunk, false, VIEW)?);
    }
    out.extend(filter.chunk(b"", true, VIEW)?);
    Ok(String::from_utf8(out).unwrap())
}

/// What comes of `input`, the same for the whole, for every split in two, and byte by byte.
fn at_every_split(filter: fn() -> BodyFilter, input: &str) -> Result<String, ResponseError> {
    let input = input.as_bytes();
    let whole = run(filter, &[input]);
    for split in 0..=input.len() {
        let (before, after) = input.split_at(split);
        assert_eq!(run(filter, &[before, b"", after]), whole, "split at {split}");
    }
    assert_eq!(run(filter, &input.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    assert_eq!(run(filter, &input.chunks(3).collect::<Vec<_>>()), whole, "by three bytes");
    whole
}

fn json(input: &str) -> Result<String, ResponseError> {
    at_every_split(message, input)
}

fn sse(input: &str) -> Result<String, ResponseError> {
    at_every_split(events, input)
}

fn result(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{members}}}}}"#)
}

const SECRET: &str = r#"{"name":"hidden"}"#;

#[test]
fn what_is_shown_passes_byte_for_byte() {
    for input in [
        result(r#""tools":[]"#),
        result(r#""tools": [ ]"#),
        result(r#""tools":[{"name":"a"},{"name":"b","inputSchema":{"a":[1,{"b":"]}\\\""}]}}]"#),
        result(
            "\"tools\" : [\r\n\t{\"name\":\"a\"} ,\n {\"name\":\"b\"}\n ] , \"nextCursor\" : \"x\" ",
        ),
        result(r#""tools":[{"na\u006de":"\u0061"}],"cacheScope":"private","ttlMs":0"#),
        result(
            r#""content":[{"type":"text","text":"\"tools\":[{}]"}],"isError":false,"_meta":null"#,
        ),
        r#" {"jsonrpc":"2.0","id":"1","error":{"code":-1,"message":"[{","data":[1e3,-0.5,true]}} "#
            .into(),
        format!("[{},\n{}]", result(r#""tools":[]"#), result(r#""prompts":[{"name":"p"}]"#)),
        "[]".into(),
        "{}".into(),
        String::new(),
        " \n".into(),
    ] {
        assert_eq!(json(&input).as_deref(), Ok(&*input));
        if !input.contains(['\n', '\r']) {
            let event = format!("data: {input}\n\n");
            assert_eq!(sse(&event).as_deref(), Ok(&*event));
        }
    }
}

#[test]
fn commas_and_blanks_go_with_the_element_that_goes() {
    for (input, expected) in [
        (r#"[{"name":"hidden"}]"#, "[]"),
        (r#"[{"name":"hidden"},{"name":"a"}]"#, r#"[{"name":"a"}]"#),
        (r#"[{"name":"a"},{"name":"hidden"}]"#, r#"[{"name":"a"}]"#),
        (r#"[{"name":"a"},{"name":"hidden"},{"name":"b"}]"#, r#"[{"name":"a"},{"name":"b"}]"#),
        (r#"[{"name":"hidden"},{"name":"hidden2"}]"#, "[]"),
        (
            "[ {\"name\":\"hidden\"} ,\n  {\"name\":\"a\"} ,\t{\"name\":\"hidden\"} ,  {\"name\":\"b\"} ]",
            "[ \n  {\"name\":\"a\"} ,  {\"name\":\"b\"} ]",
        ),
    ] {
        let (input, expected) =
            (result(&format!("\"tools\":{input}")), result(&format!("\"tools\":{expected}")));
        assert_eq!(json(&input).as_deref(), Ok(&*expected), "{input}");
        serde_json::from_str::<serde_json::Value>(&expected).unwrap();
    }
}

#[test]
fn every_subset_of_a_list_is_well_formed() {
    let names: Vec<String> = (0..6).map(|index| format!("tool{index}")).collect();
    let elements: Vec<_> =
        names.iter().map(|name| format!(" {{\"name\": \"{name}\"}}\n")).collect();
    let input = result(&format!("\"tools\":[{}]", elements.join(",")));
    for mask in 0..1_u32 << names.len() {
        let chosen = |index: usize| mask & (1 << index) != 0;
        let expected: BTreeSet<_> = names
            .iter()
            .enumerate()
            .filter(|(index, _)| chosen(*index))
            .map(|(_, name)| name)
            .collect();
        let shows = |_: List, key: &str| expected.contains(&key.to_owned());
        let view = View { shows: &shows, ..VIEW };
        let out = message().chunk(input.as_bytes(), true, view).unwrap();
        let out: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let tools = out["result"]["tools"].as_array().unwrap();
        let names_shown: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names_shown, expected.iter().map(|name| &***name).collect::<Vec<_>>());
    }
}

#[test]
fn p16_every_list_is_filtered_and_paged_and_shared_with_nobody() {
    for (list, key) in [
        ("tools", "name"),
        ("prompts", "name"),
        ("resources", "uri"),
        ("resourceTemplates", "uriTemplate"),
    ] {
        let of = |elements: &str, scope: &str| {
            result(&format!(r#""{list}":[{elements}],"nextCursor":"2","cacheScope":{scope}"#))
        };
        let kept = format!(r#"{{"title":"t","{key}":"a"}}"#);
        let gone = format!(r#"{{"{key}":"\u0068idden","title":"a"}}"#);
        let input = of(&format!("{gone},{kept},{gone}"), r#""publ\u0069c""#);
        let expected = of(&kept, r#""private""#);
        assert_eq!(json(&input).as_deref(), Ok(&*expected), "{list}");
        let (input, expected) = (format!("data: {input}\n\n"), format!("data: {expected}\n\n"));
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{list}");
    }
    let changed = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
    assert_eq!(sse(changed).as_deref(), Ok(changed));
    let discovered =
        format!("data: {}\n\n", result(r#""capabilities":{"tools":{"listChanged":true}}"#));
    assert_eq!(sse(&discovered).as_deref(), Ok(&*discovered));
}

#[test]
fn p14_what_two_readers_could_read_differently_fails() {
    let duplicate = ResponseError::Json(JsonError::DuplicateMember);
    let variant = ResponseError::Json(JsonError::NameVariant);
    let syntax = ResponseError::Json(JsonError::Syntax);
    for (input, expected) in [
        (result(r#""tools":[],"tools":[]"#), duplicate),
        (result(r#""tools":[],"t\u006fols":[]"#), duplicate),
        (result(r#""tools":[],"Tools":[]"#), duplicate),
        (result(r#""Tools":[]"#), variant),
        (result(r#""tool\u017f":[]"#), variant),
        (result(r#""toolſ":[]"#), variant),
        (result(r#""tools":[],"CacheScope":"public""#), variant),
        (result(r#""__proto__":{"tools":[]}"#), ResponseError::Json(JsonError::PrototypeMember)),
        (result(r#""a":1,"tools":[],"A":1"#), duplicate),
        (r#"{"result":{},"result":{"tools":[]}}"#.into(), duplicate),
        (r#"{"Result":{"tools":[]}}"#.into(), variant),
        (result(r#""tools":[{"name":"a","name":"hidden"}]"#), duplicate),
        (result(r#""tools":[{"name":"a","Name":"hidden"}]"#), variant),
        (result(r#""tools":[{"Name":"hidden"}]"#), variant),
        (result(r#""tools":[{"title":"a"}]"#), ResponseError::Nameless),
        (result(r#""tools":[{"name":7}]"#), ResponseError::Nameless),
        (result(r#""tools":[{"nested":{"name":"a"}}]"#), ResponseError::Nameless),
        (result(r#""tools":["a"]"#), ResponseError::Nameless),
        (result(r#""tools":[[{"name":"a"}]]"#), ResponseError::Nameless),
        (result(r#""tools":{"a":{"name":"a"}}"#), ResponseError::NotAList),
        (result(r#""tools":null"#), ResponseError::NotAList),
        (r#"{"result":[{"tools":[]}]}"#.into(), ResponseError::NotAMessage),
        (r#"[[{"result":{"tools":[]}}]]"#.into(), ResponseError::NotAMessage),
        (result(r#""tools":[{"name":"a"}{"name":"b"}]"#), syntax),
        (result(r#""tools":[{"name":"a"},]"#), syntax),
        (result(r#""tools":[,{"name":"a"}]"#), syntax),
        (result(r#""tools":[{"name":"a"}}"#), syntax),
        (result(r#""tools":[{"name":"a"]}"#), syntax),
        (result(r#""tools":[],"#), syntax),
        (result(r#""tools" []"#), syntax),
        (result(r#""tools":[] "a":1"#), syntax),
        (result(r#""a":tru,"tools":[]"#), syntax),
        (result(r#""a":01,"tools":[]"#), syntax),
        (result(r#""a":"\x","tools":[]"#), syntax),
        (result(r#""a":,"tools":[]"#), syntax),
        (result(r"tools:[]"), syntax),
        (result(r#""tools":[]"#) + "{}", syntax),
        (result(r#""tools":[]"#) + r#","tools""#, syntax),
        (r#"{"result":{"tools":[{"name":"a"}]"#.into(), ResponseError::Truncated),
        (r#"{"result":{"tools":[{"name":"a""#.into(), ResponseError::Truncated),
    ] {
        assert_eq!(json(&input), Err(expected), "{input}");
        if input.contains("ools\"") {
            assert_eq!(sse(&format!("data: {input}\n\n")), Err(expected), "{input}");
        }
    }
    assert!(json("\u{feff}{}").is_err());
    assert!(json("\"tools\"").is_err());
    let invalid = [b"{\"result\":{\"tools\":[{\"name\":\"a\xff\"}]}}".as_slice()];
    assert_eq!(run(message, &invalid), Err(ResponseError::Json(JsonError::NotUtf8)));
}

#[test]
fn p06_p14_an_event_is_one_value_that_all_readers_read_alike() {
    let (one, two) = (result(r#""tools":[]"#), result(r#""tools":[{"name":"hidden"}]"#));
    assert!(sse(&format!("data: {one}\ndata: {two}\n\n")).is_err());
    assert!(sse(&format!("data: {one}{two}\n\n")).is_err());
    assert!(sse(&format!("data: x {two}\n\n")).is_err());
    for name in ["Tools", "tool\\u017f", "tool\u{17f}", "\\u0074ools", "PROMPTS"] {
        let event = format!("data: {}\n\n", result(&format!(r#""{name}":[{SECRET}]"#)));
        assert!(!sse(&event).unwrap_or_default().contains("hidden"), "{name}");
    }
}

#[test]
fn p07_every_line_ending_ends_a_line() {
    let message = result(&format!(r#""tools":[{SECRET},{{"name":"a"}}]"#));
    let filtered = result(r#""tools":[{"name":"a"}]"#);
    let (before, after) = message.split_at(30);
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("id: 1{end}data: {message}{end}{end}: ping{end}data: 2{end}{end}");
        let expected = format!("id: 1{end}data: {filtered}\n{end}: ping{end}data: 2{end}{end}");
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{end:?}");
    }
    // JSON may break between tokens, and then its lines are data lines.
    let at = before.rfind(',').unwrap() + 1;
    let (before, after2) = (&before[..at], &message[at..]);
    assert!(after2.ends_with(after));
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("data: {before}{end}data:{after2}{end}event: message{end}{end}");
        let out = sse(&input).unwrap();
        assert!(!out.contains("hidden") && out.contains("event: message\n"), "{out:?}");
        assert_eq!(out.matches("data: ").count(), 2);
    }
    let mixed = format!("data: {message}\r\r\ndata: 1\n\rdata: {message}\r\n\n");
    assert!(!sse(&mixed).unwrap().contains("hidden"));
}

#[test]
fn p08_a_byte_order_mark_leads_the_stream_once() {
    let event = format!("data: {}\n\n", result(&format!(r#""tools":[{SECRET}]"#)));
    let empty = format!("data: {}\n\n", result(r#""tools":[]"#));
    assert_eq!(sse(&format!("\u{feff}{event}")).unwrap(), format!("\u{feff}{empty}"));
    // A second one is part of a field's name.
    for input in [format!("\u{feff}\u{feff}{event}"), format!("\n\u{feff}{event}")] {
        assert_eq!(sse(&input).as_deref(), Ok(&*input));
    }
}

#[test]
fn p09_only_data_is_data() {
    let (secret, empty) = (result(&format!(r#""tools":[{SECRET}]"#)), result(r#""tools":[]"#));
    for (input, expected) in [
        (format!("data:{secret}\n\n"), format!("data: {empty}\n\n")),
        (format!("data\ndata: {secret}\n\n"), format!("data: \ndata: {empty}\n\n")),
        (format!("data:  {secret}\n\n"), format!("data:  {empty}\n\n")),
        (
            format!("data: {secret}\n:c\nretry: 5\nid\n\n"),
            format!("data: {empty}\n:c\nretry: 5\nid\n\n"),
        ),
        (format!("event: foo\ndata: {secret}\n\n"), format!("event: foo\ndata: {empty}\n\n")),
    ] {
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{input}");
    }
    for name in ["data ", "DATA", "Data", " data", "datum", ":data", ": data", "id", "data\u{a0}"] {
        let input = format!("{name}: {secret}\n\n:\n");
        assert_eq!(sse(&input).as_deref(), Ok(&*input), "{name}");
    }
    assert_eq!(sse("data\n\ndata:\n\n").unwrap(), "data\n\ndata:\n\n");
}

#[test]
fn p11_an_event_without_its_end_is_dropped() {
    let event = format!("data: {}", result(&format!(r#""tools":[{SECRET}]"#)));
    for end in ["", "\n", "\r", "\r\n"] {
        let out = sse(&format!(": hello\n\nid: 1\n{event}{end}")).unwrap();
        assert_eq!(out, ": hello\n\nid: 1\n");
    }
    assert_eq!(sse("data: 1\n\n: unfinished").unwrap(), "data: 1\n\n");
}

#[test]
fn p13_the_shape_decides_and_not_the_id() {
    for id in ["1", "\"1\"", "null", "\"other\""] {
        let message = format!(r#"{{"id":{id},"result":{{"tools":[{SECRET}]}}}}"#);
        let out = sse(&format!("data: {message}\n\ndata: [{message}]\n\n")).unwrap();
        assert!(!out.contains("hidden"), "{id}");
    }
}

#[test]
fn comments_pass_at_once_and_data_waits_for_its_event() {
    let mut filter = events();
    let mut pass = |chunk: &str| {
        String::from_utf8(filter.chunk(chunk.as_bytes(), false, VIEW).unwrap()).unwrap()
    };
    assert_eq!(pass(": ping\n"), ": ping\n");
    assert_eq!(pass("id: 4\n"), "id: 4\n");
    assert_eq!(pass("data: 1\n"), "");
    assert_eq!(pass(": ping\n"), "");
    assert_eq!(pass("\nda"), "data: 1\n: ping\n\n");
}

#[test]
fn what_is_held_is_bounded() {
    let longest = 64;
    let over = "x".repeat(longest);
    for body in [
        result(&format!(r#""tools":[{{"name":"{over}"}}]"#)),
        result(&format!(r#""_meta":"{over}""#)),
        result(&format!(r#""tools":[{}"#, " ".repeat(longest + 1))),
        result(&format!(r#""{}":1"#, "x".repeat(256))),
    ] {
        for size in [1, 7, body.len()] {
            let mut filter = ListFilter::new(longest);
            let failed = body.as_bytes().chunks(size).any(|chunk| {
                let outcome = filter.chunk(chunk, VIEW, &mut Vec::new());
                assert!(matches!(outcome, Ok(()) | Err(ResponseError::TooLarge)), "{outcome:?}");
                outcome.is_err()
            });
            assert!(failed, "{body}");
        }
    }
    for stream in [format!("data: {over}\n\n"), format!(":{over}\n"), "data\n".repeat(longest)] {
        for size in [1, 7, stream.len()] {
            let mut filter = EventFilter::new(longest);
            let chunks = &mut stream.as_bytes().chunks(size);
            assert!(chunks.any(|chunk| filter.chunk(chunk, VIEW, &mut Vec::new()).is_err()));
        }
    }
    let long = "data: 1\n\n".repeat(longest);
    assert!(EventFilter::new(longest).chunk(long.as_bytes(), VIEW, &mut Vec::new()).is_ok());
    let element = r#"{"name":"a"}"#;
    let long = result(&format!("\"tools\":[{}]", [element].repeat(longest).join(",")));
    assert!(ListFilter::new(longest).chunk(long.as_bytes(), VIEW, &mut Vec::new()).is_ok());
}

fn kind(of: &[(&str, &str)], asks_for_list: bool) -> &'static str {
    let due = if asks_for_list { Due::Filtered } else { Due::AsItIs };
    let headers: Vec<_> = of.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    match body_filter(Headers(&headers), due) {
        Ok(None) => "pass",
        Ok(Some(BodyFilter::Empty)) => "empty",
        Ok(Some(BodyFilter::Withheld)) => "withheld",
        Ok(Some(BodyFilter::Message(_) | BodyFilter::Whole(_))) => "message",
        Ok(Some(BodyFilter::Events(_))) => "events",
        Err(error) => error.detail(),
    }
}

#[test]
fn p01_p03_the_media_type_decides_in_any_spelling() {
    for (value, for_list, otherwise) in [
        ("application/json", "message", "pass"),
        ("Application/JSON", "message", "pass"),
        ("application/json ;charset=utf-8", "message", "pass"),
        ("application/json; charset=utf-16", "media_type", "pass"),
        ("text/event-stream", "events", "events"),
        ("Text/Event-Stream ; charset=utf-8", "events", "events"),
        ("text/plain; x=text/event-stream", "media_type", "media_type"),
        ("text/event-streams", "media_type", "media_type"),
        ("text/event-stream; charset=utf-16", "media_type", "media_type"),
        ("text/event-stream; charset=utf-7", "media_type", "media_type"),
        ("text/plain", "media_type", "pass"),
        ("application/octet-stream", "media_type", "pass"),
        ("application/jsonp", "media_type", "pass"),
        ("", "media_type", "pass"),
    ] {
        assert_eq!(kind(&[("content-type", value)], true), for_list, "{value}");
        assert_eq!(kind(&[("content-type", value)], false), otherwise, "{value}");
    }
    assert_eq!(kind(&[], true), "empty");
    assert_eq!(run(|| BodyFilter::Empty, &[]).as_deref(), Ok(""));
    assert_eq!(run(|| BodyFilter::Empty, &[b"{"]), Err(ResponseError::MediaType));
    assert_eq!(kind(&[], false), "pass");
    let two = [("content-type", "application/json"), ("content-type", "text/event-stream")];
    assert_eq!((kind(&two, true), kind(&two, false)), ("media_type", "media_type"));
}

#[test]
fn p04_what_is_encoded_cannot_be_filtered() {
    for coding in ["gzip", "br", "zstd", "identity, gzip"] {
        for media in ["application/json", "text/event-stream"] {
            let headers = [("content-type", media), ("content-encoding", coding)];
            assert_eq!(kind(&headers, true), "content_encoding", "{coding}");
        }
        let other = [("content-type", "application/json"), ("content-encoding", coding)];
        assert_eq!(kind(&other, false), "pass", "a call's answer is none of the filter's business");
    }
}

/// Messages that name a task by this id, in each place where one can.
fn messages_that_name(id: &str) -> Vec<String> {
    let related = format!(
        r#""_meta" : {{"a":"t1","io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}"#
    );
    let detailed = format!(
        r#" "taskId" : "{id}" , "status":"completed","result":{{"taskId":"t1","content":["t1"]}}"#
    );
    let with_params = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}}}}}"#)
    };
    vec![
        result(&format!(r#""task": {{"ttl":1, "taskId":"{id}" ,"a":["t1"]}}"#)),
        result(&format!(r#""resultType":"task",{detailed}"#)),
        result(&format!(r#""structuredContent":{{"taskId":"t1"}},{related}"#)),
        with_params("notifications/tasks/status", &detailed),
        with_params("notifications/tasks", &detailed),
        with_params("elicitation/create", &format!(r#""message":"t1",{related}"#)),
        with_params(
            "notifications/subscriptions/acknowledged",
            &format!(r#""notifications":{{"taskIds":["{id}" , "{id}"],"a":"t1"}}"#),
        ),
    ]
}

#[test]
fn s05_the_ids_of_tasks_are_exchanged_and_no_other_byte() {
    for (server, client) in messages_that_name("t1").iter().zip(messages_that_name("sealed-t1")) {
        assert_eq!(json(server).as_deref(), Ok(&*client));
        let event = |message: &str| format!("id: 1\ndata: {message}\n\n");
        assert_eq!(sse(&event(server)), Ok(event(&client)));
    }
}

#[test]
fn s05_an_event_about_a_task_of_no_known_tool_is_none() {
    for message in messages_that_name("unknown") {
        assert_eq!(json(&message), Err(ResponseError::Task(TaskError::Unasked)));
        let stream = format!("id: 1\ndata: {message}\nretry: 5\n\nid: 2\ndata: {{}}\n\n");
        assert_eq!(sse(&stream).unwrap(), "id: 1\nretry: 5\n\nid: 2\ndata: {}\n\n");
    }
}

#[test]
fn s05_the_id_of_a_task_that_cannot_be_read_or_sealed_fails() {
    let malformed = ResponseError::Task(TaskError::Malformed);
    let variant = ResponseError::Json(JsonError::NameVariant);
    for (members, expected) in [
        (r#""taskId":"m1""#, malformed),
        (r#""taskId":7"#, malformed),
        (r#""taskId":null"#, malformed),
        (r#""taskId":"t\u0031""#, malformed),
        (r#""task":{"taskId":"t1","taskid":"t2"}"#, variant),
        (r#""TaskId":"t1""#, variant),
        (
            r#""task":{"taskId":"t1","taskId":"t2"}"#,
            ResponseError::Json(JsonError::DuplicateMember),
        ),
    ] {
        assert_eq!(json(&result(members)), Err(expected), "{members}");
        assert_eq!(sse(&format!("data: {}\n\n", result(members))), Err(expected), "{members}");
    }
}

#[test]
fn a_tools_result_passes_though_it_is_ambiguous_or_large() {
    let content = format!(r#""content":[{{"a":1,"A":2,"a":"\ud800"}},"{}"]"#, "x".repeat(2 << 20));
    let whole = result(&content);
    assert_eq!(run(message, &[whole.as_bytes()]).as_deref(), Ok(&*whole));
    let with_id = |id: &str| result(&format!(r#"{content},"taskId":"{id}""#));
    let out = run(message, &[with_id("t1").as_bytes()]);
    assert_eq!(out, Ok(with_id("sealed-t1")));
}

#[test]
fn h07_a_tool_that_asks_for_a_harmful_header_is_left_out() {
    let list = |schema: &str| {
        let tools = format!(r#"{{"name":"a"}},{{"inputSchema":{schema},"name":"b"}}"#);
        json(&result(&format!(r#""tools":[{tools}]"#))).unwrap()
    };
    let property = |annotation: &str| {
        format!(r#"{{"properties":{{"p":{{"type":"string","x-mcp-header":{annotation}}}}}}}"#)
    };
    for name in [
        "Authorization",
        "authorization",
        "Cookie",
        "HOST",
        "Mcp-Name",
        "Mcp-Session-Id",
        "Content-Length",
        "Content-Type",
        "Transfer-Encoding",
        "Connection",
        "X-Forwarded-For",
        "x-envoy-original-path",
        "Proxy-Authorization",
        "Origin",
        "",
        " ",
        "a b",
        "a:b",
        r"X\r\nY",
        r"X\u0000",
        "x\u{e9}",
        "a,b",
    ] {
        let schema = property(&format!("\"{name}\""));
        let nested = format!(r#"{{"properties":{{"o":{schema}}}}}"#);
        let choice = format!(r#"{{"allOf":[{{"items":{schema}}}]}}"#);
        let definition = format!(r##"{{"$defs":{{"d":{schema}}},"$ref":"#/$defs/d"}}"##);
        for schema in [schema, nested, choice, definition] {
            assert!(!list(&schema).contains(r#""b""#), "H07: {schema}");
        }
    }
    for annotation in ["null", "7", r#"["Region"]"#, "{}"] {
        assert!(!list(&property(annotation)).contains(r#""b""#), "H07: {annotation}");
    }
    let two = |one: &str, other: &str| {
        let annotated = |name| format!(r#"{{"x-mcp-header":"{name}"}}"#);
        format!(r#"{{"properties":{{"p":{},"q":{}}}}}"#, annotated(one), annotated(other))
    };
    assert!(!list(&two("Region", "rEGION")).contains(r#""b""#), "H07: a name twice");
    for schema in [
        property(r#""Region""#),
        two("Region", "Tenant"),
        r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#.into(),
        r#"{"properties":{"p":{"default":{"x-mcp-header":"Host"}}}}"#.into(),
    ] {
        assert!(list(&schema).contains(r#""b""#), "H07: {schema}");
    }
}
