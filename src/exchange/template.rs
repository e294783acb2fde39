//! Texts with placeholders for what a rule and the exchange say.

/// A text with placeholders.
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Scope,
    Audience,
    Actor,
    ClientId,
}

impl Template {
    /// Reads a text.
    ///
    /// None if a placeholder is none that is known, or not closed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            pieces.push(Piece::Text(before.into()));
            pieces.push(match name {
                "scope" => Piece::Scope,
                "audience" => Piece::Audience,
                "actor" => Piece::Actor,
                "client_id" => Piece::ClientId,
                _ => return None,
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        (!text.contains(char::is_control)).then_some(Self(pieces))
    }

    /// The text with these in their places.
    #[must_use]
    pub fn fill(&self, scope: &str, audience: &str, actor: &str, client_id: &str) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Scope => scope,
            Piece::Audience => audience,
            Piece::Actor => actor,
            Piece::ClientId => client_id,
        });
        pieces.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        for (text, expected) in [
            ("{scope}", "read"),
            ("{audience}/{scope}", "api://a/read"),
            ("{scope} delegation:client:{actor}", "read delegation:client:gateway"),
            ("x{client_id}", "xclient"),
            ("}", "}"),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.fill("read", "api://a", "gateway", "client"), expected);
        }
        for text in ["{", "{scope", "{scop}", "{{scope}}", "a\n"] {
            assert!(Template::parse(text).is_none(), "{text}");
        }
    }
}
