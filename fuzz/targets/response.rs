//! Whatever a server answers, and in whatever chunks it comes: what passes is the same, and no reader finds a hidden tool in it.
#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcp_deputy::transaction::Step;
use mcp_deputy_fuzz::stage::{Stage, token};
use serde_json::{Value, json};

/// The tool that Sarah has no scope for, and whose rule hides it.
const HIDDEN: &str = "secretTool";

fuzz_target!(|input: &[u8]| {
    // A line with `json` or `events` and where to cut, and the body.
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (head, body) = input.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(head) = std::str::from_utf8(head) else { return };
    let is_stream = head.starts_with("events");
    let cuts = head.split(' ').filter_map(|cut| cut.parse::<usize>().ok());
    let whole = pass(is_stream, &[body]);
    let mut chunks = Vec::new();
    let mut rest = body;
    for cut in cuts {
        let (chunk, after) = rest.split_at(cut.min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    let in_pieces = pass(is_stream, &chunks);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    let in_bytes = pass(is_stream, &bytes);
    for other in [&in_pieces, &in_bytes] {
        // What was given up may have been given up earlier or later.
        if whole.is_finished || other.is_finished {
            assert_eq!((&whole.text, whole.is_finished), (&other.text, other.is_finished));
        }
    }
    for passed in [&whole, &in_pieces, &in_bytes] {
        if !is_stream {
            assert_hidden(&passed.text);
            continue;
        }
        for ends in LINE_ENDS {
            for message in events(&passed.text, ends) {
                assert_hidden(&message);
            }
        }
    }
});

struct Passed {
    text: Vec<u8>,
    is_finished: bool,
}

/// What a client sees of an answer to its `tools/list`.
fn pass(is_stream: bool, chunks: &[&[u8]]) -> Passed {
    // All that this stage remembers is one caller and one delegation, always the same.
    thread_local!(static STAGE: RefCell<Stage> = RefCell::new(Stage::new()));
    STAGE.with_borrow_mut(|stage| pass_on(stage, is_stream, chunks))
}

fn pass_on(stage: &mut Stage, is_stream: bool, chunks: &[&[u8]]) -> Passed {
    static TOKEN: LazyLock<String> = LazyLock::new(|| token(json!({})));
    let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
    let (mut stream, step) = stage.send(&TOKEN, list);
    stream.go_up(stage, step);
    let media = if is_stream { "text/event-stream" } else { "application/json" };
    let mut passed = Passed { text: Vec::new(), is_finished: true };
    let step = stream.response(stage, &[(":status", "200"), ("content-type", media)]);
    assert!(matches!(step, Step::Filter { .. }), "a list is filtered");
    for (index, chunk) in chunks.iter().enumerate() {
        match stream.chunk(stage, chunk, index + 1 == chunks.len()) {
            Step::Replace(text) => passed.text.extend(text),
            Step::Reply(reply) => {
                assert_eq!(reply.status, 502);
                return Passed { text: Vec::new(), is_finished: false };
            }
            Step::Reset => return Passed { is_finished: false, ..passed },
            other => panic!("{other:?}"),
        }
    }
    passed
}

/// What ends a line: as WHATWG HTML section 9.2.6 has it, and as other readers do.
const LINE_ENDS: [&[char]; 3] = [
    &['\n', '\r'],
    &['\n'],
    &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'],
];

/// The data of the events of a stream; of the last one too, which a lenient reader does not drop.
fn events(stream: &[u8], ends: &[char]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(stream);
    let text = if ends.contains(&'\r') { text.replace("\r\n", "\n") } else { text.into_owned() };
    let mut events = vec![Vec::new()];
    for line in text.split(ends) {
        // Some take a byte order mark anywhere for nothing.
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if line.is_empty() {
            events.push(Vec::new());
        } else if let ("data", Some(event)) = (name, events.last_mut()) {
            event.extend_from_slice(value.strip_prefix(' ').unwrap_or(value).as_bytes());
            event.push(b'\n');
        } else if name == "event" {
            assert!(["", "message"].contains(&value.trim()), "an event of another name");
        }
    }
    events
}

fn assert_hidden(message: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Value>(message) else { return };
    let messages = message.as_array().cloned().unwrap_or_else(|| vec![message]);
    for message in messages {
        let tools = message["result"]["tools"].as_array().cloned().unwrap_or_default();
        assert!(tools.iter().all(|tool| tool["name"] != HIDDEN), "{message}");
    }
}
