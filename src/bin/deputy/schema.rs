//! `deputy schema`: JSON Schemas of what people write.

use clap::{Args, ValueEnum};
use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::policy::source::Policy;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema as Described};
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
            Document::Config => of::<Pushed>(),
            Document::Source => source(),
            Document::Policy => of::<Policy>(),
            Document::Cases => of::<Cases>(),
        };
        print_json(&schema.to_value())
    }
}

/// The schema of a document.
fn of<T: JsonSchema>() -> Described {
    let settings = SchemaSettings::draft2020_12().with_transform(without_null);
    settings.into_generator().into_root_schema_for::<T>()
}

/// A name with nothing behind it is refused: what may be left out is left out with its name.
fn without_null(schema: &mut Described) {
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, value| name != "default" || !value.is_null());
        if let Some(Value::Array(types)) = members.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                members.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(mut all)) = members.remove("anyOf") {
            all.retain(|one| *one != json!({"type": "null"}));
            if let [Value::Object(only)] = all.as_mut_slice() {
                // What stands beside it is nearer to the reader than what it says of itself.
                only.append(members);
                members.append(only);
            } else {
                members.insert("anyOf".to_owned(), Value::Array(all));
            }
        }
    }
    transform_subschemas(&mut without_null, schema);
}

/// The schema of the pushed configuration, with what `deputy.yaml` has besides.
fn source() -> Described {
    let mut source = of::<Pushed>();
    let mut envoy = of::<Envoy>();
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
