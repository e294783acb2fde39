//! JSON-RPC body in, MCP operation out.
