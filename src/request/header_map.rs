//! Headers as the host passes them through memory.

/// The names and values of a map that the host has serialised: how many there are, for each the
/// lengths of its name and its value, all as `u32` in little endian, then each name and each value
/// with a zero byte after it (proxy-wasm ABI 0.2.1, serialized maps). None if it is not that, or if
/// a name is no UTF-8.
#[must_use]
pub fn read(map: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    if map.is_empty() {
        return Some(Vec::new());
    }
    let (count, rest) = number(map)?;
    let (lengths, texts) = rest.split_at_checked(count.checked_mul(8)?)?;
    // Names are looked at together, and one by one only if some value is no UTF-8.
    let all = std::str::from_utf8(texts).ok();
    let mut end = 0_usize;
    let mut next = |length: usize| {
        let text = end..end.checked_add(length)?;
        end = text.end.checked_add(1).filter(|end| *end <= texts.len())?;
        Some(text)
    };
    let mut pairs = Vec::with_capacity(count);
    for of_pair in lengths.chunks_exact(8) {
        let (of_name, rest) = number(of_pair)?;
        let (name, value) = (next(of_name)?, next(number(rest)?.0)?);
        let name = match all {
            Some(all) => all.get(name)?,
            None => std::str::from_utf8(texts.get(name)?).ok()?,
        };
        pairs.push((name, texts.get(value)?));
    }
    Some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*first)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialized(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let number = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
        let lengths = pairs.iter().flat_map(|(name, value)| [name.len(), value.len()]);
        let mut map: Vec<u8> =
            std::iter::once(pairs.len()).chain(lengths).flat_map(number).collect();
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            map.extend([text, &b"\0"[..]].concat());
        }
        map
    }

    #[test]
    fn what_the_host_serialises_is_read_byte_for_byte() {
        let pairs = [
            (":path", &b"/mcp"[..]),
            ("authorization", b"Bearer \xff\0"),
            ("x", b""),
            ("x", b"twice"),
        ];
        let map = serialized(&pairs.map(|(name, value)| (name.as_bytes(), value)));
        assert_eq!(read(&map).unwrap(), pairs);
        assert_eq!(read(&serialized(&[])), Some(vec![]));
        assert_eq!(read(b""), Some(vec![]));
    }

    #[test]
    fn what_is_no_map_is_none_and_never_a_panic() {
        let map = serialized(&[(b":path", b"/mcp"), (b"a", b"b")]);
        for length in 1..map.len() {
            assert_eq!(read(&map[..length]), None, "{length}");
        }
        for (place, huge) in [(0, u32::MAX), (0, 9), (4, u32::MAX), (8, u32::MAX), (16, 1 << 31)] {
            let mut map = map.clone();
            map[place..place + 4].copy_from_slice(&huge.to_le_bytes());
            assert_eq!(read(&map), None, "{place}: {huge}");
        }
        assert_eq!(read(&serialized(&[(b"x-\xff", b"")])), None);
    }
}
