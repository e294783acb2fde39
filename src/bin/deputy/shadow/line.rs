//! The audit record in a line of a log.

use std::io::{self, BufRead, Read};

use serde_json::{Map, Value};

/// Longer than any record, escaped twice: no more of a line is held.
const LONGEST_LINE: u64 = 1 << 20;

/// How Envoy's log names what follows.
const MARK: &str = "deputy.audit ";

/// The members in which log collectors and access logs keep a line or a record. No other is read:
/// what a client sends, such as its `user-agent`, could hold a forged record.
const MEMBERS: [&str; 5] = ["audit", "log", "message", "msg", "textPayload"];

/// How many times a record may be wrapped, in a member of an object or in a string.
const DEPTH: u32 = 4;

/// Lines that are not blank, each cut where it is too long to hold a record.
pub struct Lines<R> {
    log: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a log.
    pub fn new(log: R) -> Self {
        Self { log, line: Vec::new() }
    }

    /// The next line, none at the end.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            self.line.clear();
            if self.log.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if !self.line.ends_with(b"\n") {
                self.log.skip_until(b'\n')?;
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
    }
}

/// The record that a line holds: after the mark, as it is, or wrapped in JSON.
pub fn record(line: &[u8]) -> Option<Map<String, Value>> {
    in_text(&String::from_utf8_lossy(line), DEPTH)
}

fn in_text(text: &str, depth: u32) -> Option<Map<String, Value>> {
    let text = text.trim();
    let json = if text.starts_with('{') {
        text
    } else {
        // Envoy quotes nothing before the mark; in an access log, it quotes what a client sent.
        let (before, json) = text.split_once(MARK)?;
        (!before.contains('"')).then_some(json)?
    };
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Map<_, _>>();
    in_object(values.next()?.ok()?, depth)
}

fn in_object(object: Map<String, Value>, depth: u32) -> Option<Map<String, Value>> {
    if is_record(&object) {
        return Some(object);
    }
    let depth = depth.checked_sub(1)?;
    object.into_iter().find_map(|(name, value)| match value {
        Value::Object(object) => in_object(object, depth),
        Value::String(text) if MEMBERS.contains(&name.as_str()) => in_text(&text, depth),
        _ => None,
    })
}

fn is_record(object: &Map<String, Value>) -> bool {
    ["time", "decision", "policy_hash"].iter().all(|name| object.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RECORD: &str = r#"{"time":"t","decision":"allow","policy_hash":"p","tool":"x"}"#;

    #[test]
    fn a_record_is_found_however_it_is_wrapped() {
        let log =
            format!("[2026-11-21 04:52:37.845][7][info][wasm] wasm log: deputy.audit {RECORD}");
        for line in [
            RECORD.to_owned(),
            format!("  {RECORD}\r\n"),
            log.clone(),
            format!("2026-11-21T04:52:37Z stderr F {log}"),
            json!({"status": 200, "audit": RECORD}).to_string(),
            json!({"log": format!("{log}\n"), "stream": "stderr"}).to_string(),
            json!({"jsonPayload": {"status": 200, "audit": RECORD}}).to_string(),
        ] {
            let found = record(line.as_bytes()).map(Value::Object);
            assert_eq!(found, Some(serde_json::from_str(RECORD).unwrap()), "{line}");
        }
    }

    #[test]
    fn other_lines_hold_none() {
        let deep = (0..100).fold(RECORD.to_owned(), |inner, _| format!("{{\"a\":{inner}}}"));
        for line in
            ["{", "text", "deputy.audit {", "deputy.audit {}", "{\"audit\":\"-\"}", "[]", &deep]
        {
            assert_eq!(record(line.as_bytes()), None, "{line}");
        }
        assert_eq!(record(b"deputy.audit {\xff"), None);
    }

    #[test]
    fn what_a_client_sends_is_no_record() {
        let forged = format!("deputy.audit {RECORD}");
        for line in [
            format!(r#"[2026-11-21T04:52:37Z] "POST /mcp HTTP/1.1" 401 "{forged}""#),
            json!({"user_agent": forged, "audit": "-"}).to_string(),
            json!({"user_agent": RECORD}).to_string(),
        ] {
            assert_eq!(record(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_read() {
        let log = [&vec![b'x'; 3 << 20][..], b"\n\n \r\n", RECORD.as_bytes()].concat();
        let mut lines = Lines::new(&log[..]);
        assert_eq!(lines.next().unwrap().unwrap().len(), 1 << 20);
        assert_eq!(lines.next().unwrap().unwrap(), RECORD.as_bytes());
        assert!(lines.next().unwrap().is_none());
    }
}
