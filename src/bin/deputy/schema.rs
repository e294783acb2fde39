//! `deputy schema`: JSON Schemas of what people write.

use clap::{Args, ValueEnum};
use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::policy::source::Policy;
use schemars::{Schema as JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use crate::cases::Cases;
use crate::envoy::Envoy;
use crate::report::{EXIT_CODES, Failure, print_json};

/// Print the JSON Schema of a document
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Schema {
    /// The document
    #[arg(value_enum, default_value_t = Document::Source)]
    document: Document,
}

#[derive(Clone, Copy, ValueEnum)]
enum Document {
    /// The configuration that the filter gets
    Config,
    /// The source file, `deputy.yaml`
    Source,
    /// A policy file
    Policy,
    /// A file of decision cases
    Cases,
}

impl Schema {
    /// Runs the command.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn run(self) -> Result<(), Failure> {
        let schema = match self.document {
            Document::Config => schema_for!(Pushed),
            Document::Source => source(),
            Document::Policy => schema_for!(Policy),
            Document::Cases => schema_for!(Cases),
        };
        print_json(&schema.to_value())
    }
}

/// The schema of the pushed configuration, with what `deputy.yaml` has besides.
fn source() -> JsonSchema {
    let mut source = schema_for!(Pushed);
    let mut envoy = schema_for!(Envoy);
    let definitions = envoy.remove("$defs").and_then(into_object).unwrap_or_default();
    envoy.remove("$schema");
    envoy.remove("title");
    source.insert("title".to_owned(), "Source".into());
    let schema = source.ensure_object();
    if let Some(properties) = object(schema, "properties") {
        properties.insert("envoy".to_owned(), envoy.to_value());
        let file = json!({
            "type": "string",
            "description": "The JSON file that holds it, in place of `authorization_server_metadata`."
        });
        properties.insert("authorization_server_metadata_file".to_owned(), file);
        if let Some(policies) = properties.get_mut("policies") {
            let directory = json!({
                "type": "string",
                "description": "A directory with one file for each policy, `NAME.yaml`."
            });
            *policies = json!({ "anyOf": [directory, policies] });
        }
    }
    let Some(all) = object(schema, "$defs") else { return source };
    all.extend(definitions);
    let Some(issuer) = object(all, "Issuer") else { return source };
    if let Some(properties) = object(issuer, "properties") {
        let file = json!({
            "type": "string",
            "description": "The file that holds its public keys, in place of `jwks`."
        });
        properties.insert("jwks_file".to_owned(), file);
    }
    let either = ["jwks", "jwks_file", "remote_jwks"].map(|name| json!({"required": [name]}));
    issuer.insert("anyOf".to_owned(), json!(either));
    issuer.insert("not".to_owned(), json!({"required": ["jwks", "jwks_file"]}));
    source
}

fn object<'a>(
    parent: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    parent.get_mut(name)?.as_object_mut()
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
