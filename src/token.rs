//! JWT in, verified claims out.
