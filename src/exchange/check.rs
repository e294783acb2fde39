//! What is checked of a reply, by name and in order: for who wants to see where one fails.

use std::fmt;

/// One thing that is checked of the authorization server's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they say what they are")]
pub enum Check {
    Answered,
    Available,
    Json,
    Granted,
    Members,
    Bearer,
    IssuedTokenType,
    NotReturned,
    ReplyScope,
    ReplyLifetime,
    ReplyDetails,
    Token,
    Subject,
    Actor,
    TokenScope,
    Details,
    Expiry,
}

impl Check {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 17] = [
        Self::Answered,
        Self::Available,
        Self::Json,
        Self::Granted,
        Self::Members,
        Self::Bearer,
        Self::IssuedTokenType,
        Self::NotReturned,
        Self::ReplyScope,
        Self::ReplyLifetime,
        Self::ReplyDetails,
        Self::Token,
        Self::Subject,
        Self::Actor,
        Self::TokenScope,
        Self::Details,
        Self::Expiry,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Answered => "the server answers in time",
            Self::Available => "it is neither overloaded nor broken",
            Self::Json => "the reply is JSON, and small",
            Self::Granted => "it grants a token",
            Self::Members => "it has the members that it must have",
            Self::Bearer => "the token is a bearer token",
            Self::IssuedTokenType => "the token is of the type that was asked for",
            Self::NotReturned => "the token is not the caller's own",
            Self::ReplyScope => "the reply's scope is the one that was asked for",
            Self::ReplyLifetime => "the reply's lifetime is no longer than the rule's",
            Self::ReplyDetails => "the reply authorizes the details that were asked for",
            Self::Token => "the token verifies",
            Self::Subject => "the token is for the caller's subject",
            Self::Actor => "the token names this gateway as the actor",
            Self::TokenScope => "the token's scope is the one that was asked for",
            Self::Details => "the token is bound to this call",
            Self::Expiry => "the token does not outlive the caller's",
        })
    }
}
