//! Rules for resources: an exact URI, or all below a prefix that ends with `/`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use percent_encoding::percent_decode_str;

use super::Rules;
use super::patterns::Patterns;
use crate::config::split_scheme;

/// The rules by URI and by prefix. An exact rule wins over a prefix, a longer prefix over a shorter.
#[derive(Debug, Default)]
pub(super) struct Resources {
    rules: Patterns<Rules>,
    /// The [stems](stem) of the URIs that have a rule of their own.
    stems: BTreeSet<Box<str>>,
    /// The schemes of which a rule names an authority, so that one written otherwise could lead past it.
    with_authority: BTreeSet<Box<str>>,
}

impl Resources {
    /// Adds the rules for `pattern`, an absolute URI or one that ends with `/*`.
    ///
    /// # Errors
    /// Why it is no pattern.
    pub(super) fn insert(&mut self, pattern: &str, rules: Rules) -> Result<(), &'static str> {
        let uri = match pattern.strip_suffix('*') {
            Some(prefix) if prefix.ends_with('/') => prefix,
            Some(_) => return Err("write `*` after a `/`, at the end"),
            None => pattern,
        };
        if uri.contains('*') || !is_canonical(uri) {
            return Err(
                "write an absolute URI, its scheme in lower case, `://` after `https` and `file`, without \
                 dot segments and needless escapes",
            );
        }
        if uri == pattern {
            self.stems.insert(stem(uri).into());
        }
        if let Some((scheme, authority)) = scheme_and_authority(uri)
            && !authority.is_empty()
        {
            self.with_authority.insert(scheme.into());
        }
        self.rules.insert(pattern, rules);
        Ok(())
    }

    /// The rules by pattern.
    pub(super) fn patterns(&self) -> &Patterns<Rules> {
        &self.rules
    }

    /// The rules for a resource (`resources/read`, `resources/subscribe`).
    pub(super) fn rules(&self, uri: &str) -> Option<&Rules> {
        self.rules.exact(uri).or_else(|| self.longest_prefix(uri, uri))
    }

    /// The rules for a resource template (`completion/complete`): those of the same text, or of all
    /// that it can ever expand to.
    pub(super) fn rules_for_template(&self, template: &str) -> Option<&Rules> {
        let literal = template.split('{').next().unwrap_or_default();
        self.rules.exact(template).or_else(|| self.longest_prefix(template, literal))
    }

    /// The longest prefix of `literal`, the part of `uri` that is certain.
    fn longest_prefix(&self, uri: &str, literal: &str) -> Option<&Rules> {
        // Some servers take the parameters of segments away, or the query and a last slash.
        let stem = stem(literal);
        let is_certain = is_canonical(uri) && !uri.contains(';') && !self.stems.contains(stem);
        let rules = self.rules.longest_beginning(literal).filter(|_| is_certain)?;
        let is_same = |other: &Rules| std::ptr::eq(other, rules);
        // Where the prefix itself names the authority, its form is the one that the policy wants.
        let origin = origin(literal);
        let is_open = self.rules.longest_beginning(origin).is_some_and(is_same);
        // What a template's authority will be, each request for a resource shows.
        let is_whole = literal == uri || origin.len() < literal.len();
        let could_be_another = is_open && is_whole && self.names_authorities_like(origin);
        let below = self.rules.longest_beginning(&format!("{stem}/"));
        (below.is_none_or(is_same) && (!could_be_another || has_one_form(origin))).then_some(rules)
    }

    fn names_authorities_like(&self, origin: &str) -> bool {
        scheme_and_authority(origin).is_some_and(|(scheme, _)| self.with_authority.contains(scheme))
    }
}

/// A URI without its query and last slash: what some servers read of it.
pub(super) fn stem(uri: &str) -> &str {
    let path = uri.split('?').next().unwrap_or_default();
    path.strip_suffix('/').unwrap_or(path)
}

/// A URI without its path and query.
fn origin(uri: &str) -> &str {
    let (_, rest) = scheme_and_authority(uri).unwrap_or_default();
    let path = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
    uri.strip_suffix(path).unwrap_or(uri)
}

/// The scheme, and the authority with all that follows, if there is one (RFC 3986 section 3.2).
fn scheme_and_authority(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

/// Whether no other authority leads to the same server as that of `origin` does, as far as can be told:
/// there is no user, no port, which may be the default one, nothing to be put in lower case or
/// unescaped, and no IP address written otherwise than usual.
fn has_one_form(origin: &str) -> bool {
    let Some((scheme, host)) = scheme_and_authority(origin) else { return true };
    let fits_scheme = match scheme {
        "file" => host.is_empty(),
        scheme if needs_host(scheme) => {
            !host.is_empty() && (!is_numeric(host) || host.parse::<Ipv4Addr>().is_ok())
        }
        _ => true,
    };
    fits_scheme
        && !host.contains(|c: char| c.is_ascii_uppercase() || "@:%[".contains(c))
        && !host.ends_with('.')
        // Behind `xn--`, it is Punycode of mere ASCII.
        && !host.split('.').any(|label| label.ends_with('-'))
}

/// Whether all URLs of a scheme have a host.
fn needs_host(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "ws" | "wss" | "ftp")
}

/// Whether URL parsers take a host for an IPv4 address, in whatever form.
fn is_numeric(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether every server takes the path and query of a URI to lead where its text says: no dot
/// segments, no empty segments, no fragment, no escape without need (RFC 3986 section 6.2.2), and
/// nothing that needs one. Templates have `{` and `}`, which no path of a pattern has.
fn is_canonical(uri: &str) -> bool {
    let Some((scheme, rest)) = split_scheme(uri) else { return false };
    let has_authority = rest.starts_with("//");
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let is_text = |text: &str| !text.contains(char::is_control);
    !scheme.contains(|c: char| c.is_ascii_uppercase())
        // To URL parsers, `https:/a` is `https://a`, and `file:/a` is `file:///a`.
        && (has_authority || !needs_host(scheme) && scheme != "file")
        && rest.split(['/', '?']).all(|segment| segment != "." && segment != "..")
        && !rest.contains("//")
        && !rest.contains(['\\', '#'])
        && uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>^`|".contains(&byte))
        && uri.split('%').skip(1).all(begins_with_due_escape)
        && percent_decode_str(uri).decode_utf8().is_ok_and(|text| is_text(&text))
}

/// Whether what follows a `%` is the escape, in capitals, of a byte that means something else in
/// plain. To a server that takes escapes away, an escaped letter leads where the letter does, and
/// past a rule for it.
fn begins_with_due_escape(text: &str) -> bool {
    let is_digit = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    let digits = text.get(..2).filter(|digits| digits.bytes().all(is_digit));
    digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(|byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
        !is_plain && !b"/\\%".contains(&byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::Rule;

    fn rules(patterns: &[&str]) -> Resources {
        let mut resources = Resources::default();
        for pattern in patterns {
            resources.insert(pattern, Box::new([Rule::sample(pattern)])).unwrap();
        }
        resources
    }

    fn named(rules: Option<&Rules>) -> Option<&str> {
        rules.map(|rules| &*rules[0].name)
    }

    #[test]
    fn the_exact_rule_wins_and_then_the_longest_prefix() {
        let rules = rules(&["file:///data/*", "file:///data/secret/*", "file:///data/secret/open"]);
        for (uri, expected) in [
            ("file:///data/a", Some("file:///data/*")),
            ("file:///data/a/b?c=d", Some("file:///data/*")),
            ("file:///data/", Some("file:///data/*")),
            ("file:///data/a%20b%3F%C3%A9", Some("file:///data/*")),
            ("file:///data/secret/x", Some("file:///data/secret/*")),
            ("file:///data/secret/open", Some("file:///data/secret/open")),
            ("file:///data", None),
            ("file:///database", None),
            ("file:///other", None),
            ("file:///", None),
        ] {
            assert_eq!(named(rules.rules(uri)), expected, "{uri}");
        }
    }

    #[test]
    fn n04_what_could_lead_elsewhere_is_below_no_prefix() {
        let rules = rules(&["file:///data/*", "https://a.example/x/*"]);
        for uri in [
            "file:///data/../etc",
            "file:///data/./x",
            "file:///data/..",
            "file:///data/%2e%2e/etc",
            "file:///data/%2E./etc",
            "file:///data%2f..",
            "file:///data/a%2f..%2f..%2fetc",
            "file:///data/%5c..",
            "file:///data/..\\etc",
            "file:///data//etc",
            "file:///data/x#y",
            "file:///data/%252e",
            "FILE:///data/x",
            "file://localhost/data/x",
            "file:/data/x",
            "/data/x",
            "file:///data/x%00",
            "file:///data/x%0a",
            "file:///data/..;/etc",
            "file:///data/secret;a=b/x",
            "file:///data/.. /etc",
            "file:///data/a b",
            "file:///data/%73ecret/x",
            "file:///data/secret%5F",
            "file:///data/%7E",
            "file:///data/%c3%a9",
            "file:///data/100%",
            "file:///data/%zz",
            "file:///data/%+1",
            "https://a.example/x/?/../y",
            "file:///data/a%40b",
            "file:///data/a%2Cb",
            "file:///data/a%3Bb",
            "file:///data/a%3Ab",
            "file:///data/a%28b%29",
            "file:///data/a\"b",
            "file:///data/a<b>",
            "file:///data/a^b`",
            "file:///c|/x",
            "file:///data/%FF",
            "file:///data/%C0%AE%C0%AE/etc",
            "file:///data/%C3x%A9",
            "file:///data/%C2%85",
        ] {
            assert_eq!(named(rules.rules(uri)), None, "{uri}");
        }
    }

    #[test]
    fn n04_an_authority_in_another_form_leads_past_no_stricter_rule() {
        let rules = rules(&[
            "docs://*",
            "docs://board/*",
            "docs://u@board:80/*",
            "https://*",
            "https://hr.example/salaries",
            "wss://*",
            "wss://hr.example/*",
            "file://*",
            "file:///secret/*",
        ]);
        for uri in [
            "docs://board:/minutes",
            "docs://@board/minutes",
            "docs://:@board/minutes",
            "docs://u:p@board/minutes",
            "docs://Board/minutes",
            "docs://bo%61rd/minutes",
            "docs://bo%C3%A4rd/minutes",
            "docs://board:80/minutes",
            "docs://team:8080/minutes",
            "docs://board./minutes",
            "docs://[::1]/minutes",
            "docs://[0:0:0:0:0:0:0:1]:8080/minutes",
            "docs://board:?x",
            "docs://board:",
            "https://hr.example:443/salaries",
            "https://hr.example:/salaries",
            "https:///hr.example/salaries",
            "https://u@hr.example/salaries",
            "https://HR.example/salaries",
            "https://hr.example./salaries",
            "https://xn--hr-.example/salaries",
            "https://127.1/x",
            "https://0x7f.1/x",
            "https://127.0.0.0x1/x",
            "https://2130706433/x",
            "https://0177.0.0.1/x",
            "https://127.0.0.1./x",
            "https://127.0.0.1:443/x",
            "wss:///a",
            "file://localhost/secret/x",
            "file://x/secret/x",
        ] {
            assert_eq!(named(rules.rules(uri)), None, "{uri}");
        }
        for (uri, expected) in [
            ("docs://team/minutes", "docs://*"),
            ("docs:///board", "docs://*"),
            ("docs://team/Mail/a@b:80", "docs://*"),
            ("docs://team?by=a@b:", "docs://*"),
            ("docs://2026/x", "docs://*"),
            ("docs://u@board:80/minutes", "docs://u@board:80/*"),
            ("https://hr.example/holidays", "https://*"),
            ("https://127.0.0.1/x", "https://*"),
            ("https://xn--bcher-kva.example/x", "https://*"),
            ("file:///data/x", "file://*"),
        ] {
            assert_eq!(named(rules.rules(uri)), Some(expected), "{uri}");
        }
    }

    #[test]
    fn where_no_rule_names_an_authority_any_is_below_the_open_one() {
        let rules = rules(&["greeting://*", "http://*", "docs://*", "https://hr.example/*"]);
        for uri in [
            "greeting://Alice",
            "greeting://J%C3%B6rg",
            "docs://README.md",
            "docs://u@board:80/x",
            "http://localhost:3000/x",
        ] {
            assert!(rules.rules(uri).is_some(), "{uri}");
        }
        for uri in ["greeting://%2e%2e/x", "docs://a/../b"] {
            assert!(rules.rules(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn n04_an_authority_further_on_hides_no_path() {
        let rules = rules(&["docs:/data/*", "urn:a:b/*"]);
        for uri in ["docs:/data/../secret?://", "docs:/data//x?://", "urn:a:b/../x?y=://"] {
            assert_eq!(named(rules.rules(uri)), None, "{uri}");
        }
        for uri in ["docs:/data/x?y=a:/b", "urn:a:b/x"] {
            assert!(rules.rules(uri).is_some(), "{uri}");
        }
    }

    #[test]
    fn n04_a_query_or_a_last_slash_leads_past_no_stricter_rule() {
        let rules = rules(&[
            "docs://handbook/*",
            "docs://handbook/salaries",
            "docs://handbook/plans/",
            "docs://handbook/search?in=all",
            "docs://handbook/board/*",
        ]);
        for uri in [
            "docs://handbook/salaries?x",
            "docs://handbook/salaries?",
            "docs://handbook/salaries/",
            "docs://handbook/salaries/?x",
            "docs://handbook/plans",
            "docs://handbook/plans?x",
            "docs://handbook/search?in=all&x",
            "docs://handbook/search",
            "docs://handbook/board",
            "docs://handbook/board?x",
        ] {
            assert_eq!(named(rules.rules(uri)), None, "{uri}");
        }
        for (uri, expected) in [
            ("docs://handbook/salaries", "docs://handbook/salaries"),
            ("docs://handbook/plans/", "docs://handbook/plans/"),
            ("docs://handbook/search?in=all", "docs://handbook/search?in=all"),
            ("docs://handbook/board/", "docs://handbook/board/*"),
            ("docs://handbook/board/?x", "docs://handbook/board/*"),
            ("docs://handbook/leave?x", "docs://handbook/*"),
            ("docs://handbook/salaries/2026", "docs://handbook/*"),
            ("docs://handbook/", "docs://handbook/*"),
        ] {
            assert_eq!(named(rules.rules(uri)), Some(expected), "{uri}");
        }
    }

    #[test]
    fn a_template_is_allowed_where_all_that_it_expands_to_is() {
        let rules = rules(&[
            "file:///data/*",
            "db://table/{name}",
            "users://*",
            "https://*",
            "https://hr.example/*",
        ]);
        for (template, expected) in [
            ("file:///data/{path}", Some("file:///data/*")),
            ("file:///data/a/{b}/{c}", Some("file:///data/*")),
            ("db://table/{name}", Some("db://table/{name}")),
            ("file:///{path}", None),
            ("file://{+path}", None),
            ("db://table/{other}", None),
            ("file:///data/../{x}", None),
            ("users://{userId}/profile", Some("users://*")),
            ("users://u@{host}/x", Some("users://*")),
            ("https://{site}/x", Some("https://*")),
            ("https://api.{region}.example/x", Some("https://*")),
            ("https://api.{region}.example/../x", None),
            ("https://API.example/{x}", None),
        ] {
            assert_eq!(named(rules.rules_for_template(template)), expected, "{template}");
        }
    }

    #[test]
    fn a_scheme_has_digits_and_signs_too() {
        for pattern in ["s3://bucket/*", "git+ssh://host/*", "x-a.b://c", "urn:a"] {
            assert!(Resources::default().insert(pattern, Rules::default()).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "data",
            "/data/*",
            "file:///da*",
            "file:///*/x",
            "FILE:///x",
            "fILE:///x",
            "1a:///x",
            "file:///a/../b",
            "file:/a/*",
            "https:/a/*",
            "https:a",
            "a:/b/../c?://",
            "a://b/%FF",
            "a b:/x",
            "x:",
        ] {
            assert!(Resources::default().insert(pattern, Rules::default()).is_err(), "{pattern}");
        }
    }
}
