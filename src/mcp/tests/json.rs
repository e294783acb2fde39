//! JSON that parsers read differently (class `json`).

use super::*;
use crate::json::{Limits, check};

#[test]
fn j01_duplicate_members_are_refused_at_every_depth() {
    let duplicates = [
        call(r#"{"name":"greet","name":"secret_tool"}"#),
        call(r#"{"name":"greet","\u006eame":"secret_tool"}"#),
        call(r#"{"name":"greet","arguments":{},"arguments":{"a":1}}"#),
        call(r#"{"name":"greet","arguments":{"a":[{"b":1,"c":2,"b":1}]}}"#),
        call(r#"{"name":"greet","arguments":{"":1,"":2}}"#),
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into(),
        r#"{"method":"tools/list","jsonrpc":"2.0","id":1,"method":"ping"}"#.into(),
        request(r#""method":"ping","extra":{"x":1,"x":1}"#),
    ];
    for body in duplicates {
        not_json("J01", body, JsonError::DuplicateMember);
    }
    let many: Vec<_> = (0..500).map(|n| format!(r#""k{n}":0"#)).collect();
    let many = many.join(",");
    let body = call(&format!(r#"{{"name":"greet","arguments":{{{many},"k250":1}}}}"#));
    not_json("J01", body, JsonError::DuplicateMember);
}

#[test]
fn the_same_member_in_different_objects_is_fine() {
    let params =
        r#"{"name":"a","arguments":{"name":"b","name2":{"name":[{"name":1},{"name":2}]}}}"#;
    assert_eq!(tool("J01", call(params)), "a");
}

#[test]
fn j04_case_variants_of_significant_members_are_refused() {
    for params in [
        r#"{"name":"greet","Name":"secret_tool"}"#,
        r#"{"Name":"secret_tool"}"#,
        r#"{"name":"greet","Arguments":{}}"#,
        r#"{"name":"greet","argument\u017f":{}}"#,
        r#"{"name":"greet","tas\u212a":{}}"#,
        r#"{"name":"greet","taſK":{}}"#,
        r#"{"name":"greet","taskid":"k"}"#,
        r#"{"name":"greet","_Meta":{}}"#,
        r#"{"name":"greet","URI":"file:///a"}"#,
        r#"{"name":"greet","CURSOR":""}"#,
        r#"{"name":"greet","Ref":{}}"#,
        r#"{"name":"greet","inputresponses":{}}"#,
        r#"{"name":"greet","requeſtState":{}}"#,
        r#"{"name":"greet","ur\u0131":"file:///a"}"#,
        r#"{"name":"greet","UR\u0130":"file:///a"}"#,
        r#"{"name":"greet","_meta":{"io.modelcontextprotocol/protocolversion":"2025-06-18"}}"#,
        r#"{"name":"greet","ref":{"Type":"ref/prompt"}}"#,
        r#"{"name":"greet","notifications":{"resourcesubscriptions":[]}}"#,
    ] {
        not_json("J04", call(params), JsonError::NameVariant);
    }
    // What the protocol's own members mean in Python, whose field names some servers also take.
    for params in [
        r#"{"name":"greet","meta":{}}"#,
        r#"{"name":"greet","task_id":"k"}"#,
        r#"{"name":"greet","request_state":"k"}"#,
        r#"{"notifications":{"resource_subscriptions":["file:///a"]}}"#,
    ] {
        not_json("J04", call(params), JsonError::NameVariant);
    }
    // Two members that only a parser that ignores case confuses.
    for arguments in [r#"{"a":1,"A":2}"#, r#"{"x":[{"mask":1,"b":0,"maſK":2}]}"#] {
        let params = format!(r#"{{"name":"greet","arguments":{arguments}}}"#);
        not_json("J04", call(&params), JsonError::DuplicateMember);
    }
}

#[test]
fn j04_names_in_arguments_are_the_tools_own_business() {
    let params =
        r#"{"name":"greet","arguments":{"Name":"x","METHOD":1,"Id":2,"task_id":3,"_id":4}}"#;
    assert_eq!(tool("J04", call(params)), "greet");
}

#[test]
fn j05_case_variants_of_message_members_are_refused() {
    for (member, value) in [
        ("Method", r#""ping""#),
        ("METHOD", r#""ping""#),
        ("JSONRPC", r#""2.0""#),
        ("Id", "2"),
        ("Params", "{}"),
        ("param\u{17f}", "{}"),
        ("Result", "{}"),
        ("re\u{17f}ult", "{}"),
        ("Error", "{}"),
    ] {
        let body = request(&format!(r#""{member}":{value}"#));
        not_json("J05", body, JsonError::NameVariant);
        let body = request(&format!(r#""method":"ping","{member}":{value}"#));
        not_json("J05", body, JsonError::NameVariant);
    }
}

#[test]
fn j07_control_characters_in_member_names_are_refused() {
    for name in ["name\\u0000", "\\u0000name", "na\\u001fme", "name\\n", "name\\u007f", "x\\u0085"]
    {
        let params = format!(r#"{{"name":"greet","{name}":"secret_tool"}}"#);
        not_json("J07", call(&params), JsonError::ControlCharacter);
        let params = format!(r#"{{"name":"greet","arguments":{{"a":[{{"{name}":1}}]}}}}"#);
        not_json("J07", call(&params), JsonError::ControlCharacter);
    }
}

#[test]
fn j10_a_byte_order_mark_is_refused() {
    let body = [b"\xef\xbb\xbf", call(r#"{"name":"a"}"#).as_bytes()].concat();
    not_json("J10", body, JsonError::ByteOrderMark);
}

#[test]
fn other_encodings_than_utf8_are_refused() {
    let body = call(r#"{"name":"a"}"#);
    let utf16: Vec<u16> = body.encode_utf16().collect();
    let big: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let little: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    not_json("UTF-8", &big, JsonError::Syntax);
    not_json("UTF-8", &little, JsonError::Syntax);
    not_json("UTF-8", [b"\xff\xfe", &little[..]].concat(), JsonError::NotUtf8);
    // Overlong, a surrogate, beyond U+10FFFF, cut short, Latin-1.
    for bytes in
        [&b"\xc1\xa1"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xe9", b"\xc0\x80"]
    {
        let body = [br#"{"jsonrpc":"2.0","id":1,"method":"ping","x":""#, bytes, b"\"}"].concat();
        not_json("UTF-8", body, JsonError::NotUtf8);
    }
}

#[test]
fn j14_lone_surrogates_are_refused() {
    for text in ["\\ud800", "\\udd1e\\ud834", "\\udc00", "\\ud800x", "\\ud800\\n", "\\ud800\\u0041"]
    {
        not_json("J14", call(&format!(r#"{{"name":"{text}"}}"#)), JsonError::Syntax);
        let params = format!(r#"{{"name":"a","arguments":{{"{text}":1}}}}"#);
        not_json("J14", call(&params), JsonError::Syntax);
    }
    let pair = call(r#"{"name":"a","arguments":{"x":"\ud834\udd1e"}}"#);
    assert_eq!(tool("J14", pair), "a");
}

#[test]
fn j16_numbers_outside_json_are_refused() {
    for number in ["NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e999"] {
        let params = format!(r#"{{"name":"a","arguments":{{"z":{number}}}}}"#);
        not_json("J16", call(&params), JsonError::Syntax);
    }
}

#[test]
fn j20_depth_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        call(&format!(r#"{{"name":"a","arguments":{{"x":{open}{close}}}}}"#))
    };
    // The message, `params` and `arguments` are three levels.
    assert_eq!(tool("J20", nested(61)), "a");
    for depth in [62, 126, 129, 5_000, 100_000] {
        not_json("J20", nested(depth), JsonError::TooDeep);
    }
    for open in ["[", r#"{"a":"#, r#"[{"a":"#] {
        not_json("J20", open.repeat(100_000), JsonError::TooDeep);
    }
}

#[test]
fn j21_nothing_may_follow_the_value() {
    let body = call(r#"{"name":"a"}"#);
    for after in [r#""x""#, "{}", "\n{}", "\0", "]", "}", ",", "//", "\u{feff}", "null"] {
        not_json("J21", format!("{body}{after}"), JsonError::Syntax);
    }
    not_json("J21", format!("{body}\n{body}"), JsonError::Syntax);
}

#[test]
fn j22_only_json_whitespace_is_whitespace() {
    let body = call(r#"{"name":"a"}"#);
    assert_eq!(tool("J22", format!(" \r\n\t{body} \r\n\t")), "a");
    for space in ["\u{a0}", "\x0b", "\x0c", "\u{2028}", "\u{85}", "\0"] {
        not_json("J22", format!("{space}{body}"), JsonError::Syntax);
        not_json("J22", format!("{body}{space}"), JsonError::Syntax);
        not_json("J22", body.replacen(':', &format!(":{space}"), 1), JsonError::Syntax);
    }
    not_json("J22", format!("\u{feff}{body}"), JsonError::ByteOrderMark);
}

#[test]
fn j23_extensions_of_json_are_refused() {
    for value in [
        "/*c*/1",
        "1//c\n",
        "#c\n1",
        "[1,]",
        "[,1]",
        "[1,,2]",
        "{\"a\":1,}",
        "{,}",
        "'x'",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\"}",
        "{1:2}",
        "+1",
        ".5",
        "1.",
        "01",
        "-01",
        "0x1",
        "1_0",
        "1e",
        "1e+",
        "-",
        "--1",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\\x41\"",
        "\"\\'\"",
        "\"\\u00g0\"",
        "\"\\u12\"",
        "\"\\\"",
        "True",
        "nul",
        "nulll",
        "undefined",
        "[1 2]",
        "[\"a\"",
        "\"a",
        "[1}",
        "{\"a\":1]",
        "",
    ] {
        let params = format!(r#"{{"name":"a","arguments":{{"z":{value}}}}}"#);
        not_json("J23", call(&params), JsonError::Syntax);
    }
}

#[test]
fn j24_prototype_members_are_refused() {
    for name in ["__proto__", "constructor", "\\u005f_proto__"] {
        for body in [
            request(&format!(r#""method":"ping","{name}":{{}}"#)),
            call(&format!(r#"{{"name":"a","{name}":{{"name":"b"}}}}"#)),
            call(&format!(r#"{{"name":"a","_meta":{{"{name}":{{}}}}}}"#)),
            call(&format!(r#"{{"name":"a","ref":{{"{name}":{{}}}}}}"#)),
            call(&format!(r#"{{"name":"a","notifications":{{"{name}":{{}}}}}}"#)),
        ] {
            not_json("J24", body, JsonError::PrototypeMember);
        }
    }
    // Servers in TypeScript drop `__proto__` wherever a schema has free members (zod), and nothing
    // else.
    for (name, is_refused) in [("__proto__", true), ("constructor", false), ("prototype", false)] {
        for arguments in [r#"{"NAME":{"x":1}}"#, r#"{"a":[{"b":{"NAME":null}}]}"#] {
            let arguments = arguments.replace("NAME", name);
            let body = call(&format!(r#"{{"name":"a","arguments":{arguments}}}"#));
            if is_refused {
                not_json("J24", body, JsonError::PrototypeMember);
            } else {
                assert_eq!(tool("J24", body), "a");
            }
        }
    }
}

#[test]
fn j25_members_and_values_are_bounded() {
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!(r#""key{n}":0"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    let array = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    let with = |value: &str| call(&format!(r#"{{"name":"a","arguments":{{"x":{value}}}}}"#));
    let million = with(&object(100_000));
    assert!(million.len() >= 1 << 20);
    not_json("J25", million, JsonError::TooManyMembers);
    not_json("J25", with(&array(1_000_000)), JsonError::TooManyValues);
    // jsonrpc, id, method, params, name, arguments, x
    assert_eq!(tool("J25", with(&object(9_993))), "a");
    not_json("J25", with(&object(9_994)), JsonError::TooManyMembers);
    // ... and the message itself.
    assert_eq!(tool("J25", with(&array(99_992))), "a");
    not_json("J25", with(&array(99_993)), JsonError::TooManyValues);
    // Many small objects count together.
    let spread = format!("[{}]", vec![r#"{"a":0}"#; 10_000].join(","));
    not_json("J25", with(&spread), JsonError::TooManyMembers);
}

#[test]
fn t05_compressed_bytes_are_refused() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xca*\xce\xcf+*HV\xb2R2";
    not_json("T05", gzip, JsonError::NotUtf8);
    let zlib = b"\x78\x01\x01\x05\x00\xfa\xff{}";
    refused("T05", zlib, 400, -32700);
}

#[test]
fn check_serves_any_json() {
    let limits = Limits { depth: 2, members: 2, values: 4 };
    for text in ["1", "[]", r#"[{"Method":1}]"#, r#"{"a":[1,2]}"#, r#"{"__proto__":1}"#] {
        assert_eq!(check(text.as_bytes(), &limits), Ok(()), "{text}");
    }
    for (text, error) in [
        ("", JsonError::Syntax),
        ("[[[]]]", JsonError::TooDeep),
        ("[1,2,3,4]", JsonError::TooManyValues),
        (r#"{"a":1,"b":2,"c":3}"#, JsonError::TooManyMembers),
        (r#"{"a":1,"a":2}"#, JsonError::DuplicateMember),
        (r#"{"keys":1,"Key\u017f":2}"#, JsonError::DuplicateMember),
        (r#"{"höhe":5,"HÖHE":5000}"#, JsonError::DuplicateMember),
    ] {
        assert_eq!(check(text.as_bytes(), &limits), Err(error), "{text}");
    }
    // Depth is what is open at once, not what there is in all.
    assert_eq!(check(b"[[],[],[]]", &limits), Ok(()));
}
