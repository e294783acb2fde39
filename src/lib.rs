//! Deputy: a proxy-wasm filter that makes any MCP server an OAuth 2.0 resource server.

pub mod mcp;
pub mod token;
