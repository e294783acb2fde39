//! YAML text to a JSON value.

mod document;
mod lost;

use std::fmt::Write;

use serde_json::Value;

/// Reads one YAML document, the bytes of a file.
///
/// # Errors
/// As [`value`], and where it is not UTF-8.
pub fn file(bytes: Vec<u8>) -> Result<Value, String> {
    value(&document::text(bytes)?)
}

/// Reads one YAML document.
///
/// # Errors
/// `LINE:COLUMN: what`, also for a key that stands twice and for what JSON cannot say.
pub fn value(text: &str) -> Result<Value, String> {
    // Some editors begin a file with a byte order mark; the parser takes it for a document of its own.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    document::check_characters(text)?;
    if let Some(line) = document::second(text) {
        return Err(format!("{line}:1: a second document begins"));
    }
    // Not to a JSON value at once: that would let the last of two equal keys win.
    let yaml: serde_yaml_ng::Value = document::read(text).map_err(|error| {
        let place = error.location().map(|at| format!("{}:{}: ", at.line(), at.column()));
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default();
        format!("{}{message}", place.unwrap_or_default())
    })?;
    lost::check(text, &yaml)?;
    serde_json::to_value(yaml).map_err(|error| error.to_string())
}

/// Writes a text as a YAML scalar: plain where that is safe, else between double quotes.
pub fn scalar(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "/._:-".contains(c);
    let reads_back = serde_yaml_ng::from_str::<String>(text).is_ok_and(|read| read == text)
        && serde_yaml_ng::from_str::<serde_yaml_ng::Value>(text)
            .is_ok_and(|value| value.is_string());
    if reads_back && text.chars().all(is_safe) { text.to_owned() } else { quoted(text) }
}

/// A JSON string is a YAML scalar between double quotes.
fn quoted(text: &str) -> String {
    escaped(&Value::from(text).to_string())
}

/// JSON text without the characters that YAML takes for line breaks or forbids.
pub fn escaped(json: &str) -> String {
    let forbidden = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if forbidden(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Every line of `text` behind `depth` spaces.
pub fn indented(text: &str, depth: usize) -> String {
    let margin = " ".repeat(depth);
    text.lines().fold(String::new(), |out, line| out + &margin + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_reads_as_it_was() {
        for (text, written) in [
            ("/run/secret.yaml", "/run/secret.yaml"),
            ("127.0.0.1", "127.0.0.1"),
            ("1.5", "\"1.5\""),
            ("true", "\"true\""),
            ("", "\"\""),
            (".", "."),
            ("a: b # c", "\"a: b # c\""),
            ("a\nb\u{2028}\"", "\"a\\nb\\u2028\\\"\""),
        ] {
            let read: String = serde_yaml_ng::from_str(&scalar(text)).unwrap();
            assert_eq!((scalar(text).as_str(), read.as_str()), (written, text));
        }
    }

    #[test]
    fn a_number_that_json_has_not_is_refused() {
        for text in [".inf", "-.inf", ".nan", "{a: {b: [1, .inf]}}"] {
            let place = if text.starts_with('{') { "a.b[1]" } else { "" };
            assert_eq!(value(text), Err(format!(" {place}: JSON has no such number")), "{text}");
        }
        assert!(value("{a: 1.5, b: -1, c: 1e300}").is_ok());
    }

    #[test]
    fn nothing_is_not_null_where_either_could_be_meant() {
        for (text, path) in [
            (
                "tools:\n  pay:\n    - arguments:\n        n:\n          equals:\n",
                "tools.pay[0].arguments.n.equals",
            ),
            ("{a: [1, {includes: }]}", "a[1].includes"),
            ("a: &it {equals: }\nb: *it", "a.equals"),
            ("{\"equals\": }", "equals"),
        ] {
            let told = format!(" {path}: it is empty; write `null` if that is what you mean");
            assert_eq!(value(text), Err(told), "{text}");
        }
        for text in
            ["equals: null", "{equals: ~}", "equals: ''", "equals:\n  - 1", "equal:", "- ", ""]
        {
            assert!(value(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        assert!(value("a: {b: 1, b: 2}").is_err());
    }
}
