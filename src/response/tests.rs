//! Framing and splitting, at every split of the input; rows P01 to P16 of the attack list.

mod event_stream;
mod task_ids;

use std::collections::BTreeSet;

use super::*;
use crate::json::JsonError;
use crate::mcp::List;
use crate::task::TaskError;

/// Shows everything whose key does not contain `hidden`, and knows tasks whose id begins with `t`.
const VIEW: View = View {
    shows: &|_, key| !key.contains("hidden"),
    seal: &|id, _| match id {
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
fn p14_an_element_that_two_readers_could_read_differently_is_left_out() {
    let deep = ["[".repeat(70), "]".repeat(70)].concat();
    for element in [
        r#"{"name":"a","name":"hidden"}"#,
        r#"{"name":"a","Name":"hidden"}"#,
        r#"{"Name":"a"}"#,
        r#"{"name":"a","inputSchema":{"properties":{"A":{},"a":{}}}}"#,
        r#"{"name":"a","_meta":{"legend":{"M":"month","m":"minute"}}}"#,
        r#"{"name":"a","__proto__":{}}"#,
        &format!(r#"{{"name":"a","inputSchema":{deep}}}"#),
    ] {
        let list = |elements: &str| result(&format!(r#""tools":[{elements}]"#));
        let input = list(&format!(r#"{element},{{"name":"b"}}"#));
        assert_eq!(json(&input).as_deref(), Ok(&*list(r#"{"name":"b"}"#)), "{element}");
        let event = |message: &str| format!("data: {message}\n\n");
        assert_eq!(sse(&event(&input)).unwrap(), event(&list(r#"{"name":"b"}"#)), "{element}");
    }
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
