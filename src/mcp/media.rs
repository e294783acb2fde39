//! The request's media type and encoding: the body must be plain JSON in UTF-8.

/// Why a body is of a kind that is not read. The answer is 415 (RFC 9110 section 15.5.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaError {
    /// The media type is not `application/json` in UTF-8, named once.
    ContentType,
    /// The body is encoded, for example compressed.
    ContentEncoding,
}

impl MediaError {
    /// The constant word for the audit record.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::ContentEncoding => "content_encoding",
        }
    }
}

/// Checks all values of the `Content-Type` header, one for each header line.
///
/// Accepts `application/json`, alone or with `charset=utf-8`, in any case. Another charset would
/// let the server read other text than was checked.
///
/// # Errors
/// [`MediaError::ContentType`] for anything else, for no value and for several.
pub fn check_content_type(values: &[&[u8]]) -> Result<(), MediaError> {
    check_media_type(values, "application/json")
}

/// The same for the media type `essence`.
///
/// # Errors
/// [`MediaError::ContentType`] for anything else, for no value and for several.
pub fn check_media_type(values: &[&[u8]], essence: &str) -> Result<(), MediaError> {
    let is_essence = |text: &str| trim(text).eq_ignore_ascii_case(essence);
    single(values)
        .is_some_and(|value| match value.split_once(';') {
            None => is_essence(value),
            Some((text, parameter)) => is_essence(text) && is_utf8_charset(parameter),
        })
        .then_some(())
        .ok_or(MediaError::ContentType)
}

/// Checks all values of the `Content-Encoding` header, one for each header line.
///
/// # Errors
/// [`MediaError::ContentEncoding`] unless there is none, or the single value `identity`.
pub fn check_content_encoding(values: &[&[u8]]) -> Result<(), MediaError> {
    let plain = values.is_empty()
        || single(values).is_some_and(|value| trim(value).eq_ignore_ascii_case("identity"));
    plain.then_some(()).ok_or(MediaError::ContentEncoding)
}

fn single<'a>(values: &[&'a [u8]]) -> Option<&'a str> {
    match values {
        [value] => std::str::from_utf8(value).ok(),
        _ => None,
    }
}

fn is_utf8_charset(parameter: &str) -> bool {
    trim(parameter).split_once('=').is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case("charset")
            && (value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("\"utf-8\""))
    })
}

/// Without the optional whitespace of RFC 9110 section 5.6.3.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_type(value: &str) -> Result<(), MediaError> {
        check_content_type(&[value.as_bytes()])
    }

    #[test]
    fn json_in_utf8_is_accepted() {
        for value in [
            "application/json",
            "APPLICATION/JSON",
            " application/json\t",
            "application/json;charset=UTF-8",
            "application/json; charset=utf-8",
            "Application/Json ;\tCharset=\"Utf-8\"",
        ] {
            assert_eq!(content_type(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn j13_t01_t02_t03_other_content_types_are_refused() {
        for (row, value) in [
            ("J13", "application/json; charset=utf-7"),
            ("J13", "application/json; charset=utf-16"),
            ("J13", "application/json; charset=\"utf-7\""),
            ("J13", "application/json; charset=utf-8; charset=utf-7"),
            ("J13", "application/json; charset=utf-8\0"),
            ("J13", "application/json; charset=us-ascii"),
            ("T01", "text/plain"),
            ("T02", ""),
            ("T02", "application/json-rpc"),
            ("T02", "application/jsonp"),
            ("T02", "application/vnd.x+json"),
            ("T02", "text/plain; a=application/json"),
            ("T02", "application/json; a=b"),
            ("T02", "application/json;"),
            ("T02", "application/json; charset = utf-8"),
            ("T02", "application\u{ff0f}json"),
            ("T02", "application/json\u{a0}"),
            ("T03", "application/json , text/plain"),
            ("T03", "application/json, application/json"),
            ("T03", "application/json; charset=utf-8, text/plain"),
        ] {
            assert_eq!(content_type(value), Err(MediaError::ContentType), "{row}: {value:?}");
        }
    }

    #[test]
    fn t02_t03_no_content_type_or_several_are_refused() {
        let json: &[u8] = b"application/json";
        for values in [&[][..], &[json, json], &[json, b"text/plain"], &[b"application/json\xff"]] {
            assert_eq!(check_content_type(values), Err(MediaError::ContentType), "{values:?}");
        }
    }

    #[test]
    fn t04_encoded_bodies_are_refused() {
        for value in ["gzip", "deflate", "br", "zstd", "gzip, identity", "identity, gzip", "x-gzip"]
        {
            let outcome = check_content_encoding(&[value.as_bytes()]);
            assert_eq!(outcome, Err(MediaError::ContentEncoding), "T04: {value}");
        }
        let twice: [&[u8]; 2] = [b"identity", b"gzip"];
        assert_eq!(check_content_encoding(&twice), Err(MediaError::ContentEncoding));
        assert_eq!(check_content_encoding(&[b""]), Err(MediaError::ContentEncoding));
    }

    #[test]
    fn t04_plain_bodies_are_accepted() {
        assert_eq!(check_content_encoding(&[]), Ok(()));
        assert_eq!(check_content_encoding(&[b"Identity"]), Ok(()));
    }
}
