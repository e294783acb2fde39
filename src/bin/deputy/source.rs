//! `deputy.yaml`: the pushed configuration as people keep it.
//!
//! It is the pushed document with four differences: `policies` may name a directory with one file
//! for each policy, `issuers[].jwks_file` may stand in place of `jwks` and
//! `authorization_server_metadata_file` in place of `authorization_server_metadata`, and the section `envoy` says
//! how Envoy is set up. Paths of files that are read here are relative to this file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::config::{Config, ConfigError, Problems, did_you_mean, typed};
use mcp_deputy::json;
use mcp_deputy::token::{KeySet, PRIVATE_MEMBERS};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::envoy::Envoy;
use crate::odd;
use crate::report::{Diagnostic, Failure, reason};
use crate::set::Set;
use crate::yaml;

/// Which source file to read, and what to override in it.
#[derive(Debug, Clone, Args)]
pub struct SourceArguments {
    /// The source file
    #[arg(long, default_value = "deputy.yaml", value_name = "FILE")]
    config: PathBuf,
    /// Override a value: `issuers[0].issuer=https://login.example.com`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<Set>,
}

impl SourceArguments {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.config
    }

    /// Reads it.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn read(&self) -> Result<Source, Failure> {
        Source::read(&self.config, self.overrides.clone())
    }
}

/// A source file without errors.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// What the filter gets.
    pub pushed: Value,
    /// The same, typed.
    pub typed: Pushed,
    /// The same, compiled.
    pub config: Config,
    /// How Envoy is set up.
    pub envoy: Option<Envoy>,
    /// The same, as it is written.
    pub written_envoy: Option<Value>,
    /// What is odd.
    pub warnings: Vec<Diagnostic>,
    /// Where the policies are, if they have files of their own.
    pub policies: Option<PathBuf>,
}

impl Source {
    /// Reads the file, what it names, and the overrides.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it: with its shape, and, unless that
    /// leaves too much open, with what it says.
    pub fn read(path: &Path, overrides: Vec<Set>) -> Result<Self, Failure> {
        let text = fs::read(path).map_err(|error| Failure::file(path, &error))?;
        let mut files = Files::new(path);
        let mut problems = Problems::default();
        let mut document = match yaml::file(text) {
            Ok(document) => document,
            Err(message) => {
                problems.add("", format!("{}:{message}", path.display()));
                return Err(files.failure(problems));
            }
        };
        for set in overrides {
            set.apply(&mut document).map_err(Failure::Usage)?;
        }
        let Value::Object(mut document) = document else {
            let is_empty = document.is_null();
            problems.add("", if is_empty { EMPTY } else { "the document is not an object" });
            return Err(files.failure(problems));
        };
        let written_envoy = document.get("envoy").cloned();
        let envoy = read_envoy(&mut document, &mut problems);
        let policies = files.read_policies(&mut document, &mut problems);
        files.read_keys(&mut document, &mut problems);
        files.read_metadata(&mut document, &mut problems);
        let pushed = Value::Object(document);
        let typed = match typed::<Pushed>(pushed.clone()) {
            Ok(typed) if problems.is_empty() => typed,
            // Where a file could not be read, its place is empty: no use in judging what is there.
            shape if !problems.is_empty() => {
                problems.take(shape);
                return Err(files.failure(problems));
            }
            _ => {
                problems.take(Config::from_value(pushed));
                return Err(files.failure(problems));
            }
        };
        let config = problems.take(Config::from_value(pushed.clone()));
        check_keys(&pushed, &mut problems);
        if let Some(envoy) = &envoy {
            envoy.check(&typed, &mut problems);
        }
        let (true, Some(config)) = (problems.is_empty(), config) else {
            return Err(files.failure(problems));
        };
        let mut warnings = config.warnings.clone();
        warnings.extend(odd::warnings(&typed, &config));
        warnings.extend(envoy.iter().flat_map(|envoy| envoy.warnings(&typed)));
        let warnings = files.locate(warnings);
        let file = path.to_owned();
        Ok(Self { file, pushed, typed, config, envoy, written_envoy, warnings, policies })
    }

    /// How Envoy is set up, for what is rendered.
    ///
    /// # Errors
    /// The file does not say it.
    pub fn rendered_envoy(&self) -> Result<&Envoy, Failure> {
        self.envoy.as_ref().ok_or_else(|| {
            let file = self.file.display();
            let help = "say there how Envoy is set up; only `deputy render --json` does without";
            Failure::Usage(format!("`{file}` has no section `envoy`; help: {help}"))
        })
    }

    /// The file with a policy's decision cases.
    pub fn cases(&self, policy: &str) -> Option<PathBuf> {
        Some(self.policies.as_ref()?.join(format!("{policy}.test.yaml")))
    }
}

/// What is said of a file without a document.
const EMPTY: &str = "the document is empty";

/// Takes the section `envoy` out of the document.
fn read_envoy(document: &mut Map<String, Value>, problems: &mut Problems) -> Option<Envoy> {
    let section = document.remove("envoy");
    let section = problems.take(typed::<Section>(json!({ "envoy": section? })));
    section.map(|section| section.envoy)
}

/// Fields that the source has and the pushed configuration does not, whose errors so cannot name them.
fn with_own_fields(mut problem: ConfigError) -> ConfigError {
    let Some(name) = problem.message.strip_prefix("unknown field `") else { return problem };
    let name = name.trim_end_matches('`');
    let place = problem.path.strip_suffix(name).unwrap_or_default();
    let is_issuer = place.starts_with("issuers[") && place.ends_with("].");
    let own: &[&str] = match place {
        "" => &["authorization_server_metadata_file", "envoy"],
        _ if is_issuer && place.matches('.').count() == 1 => &["jwks_file"],
        _ => return problem,
    };
    let near = did_you_mean(name, own.iter().copied());
    if let Some(near) = near {
        problem.help = Some(format!("did you mean `{near}`?"));
    } else if let Some(help) = problem.help.as_mut().filter(|help| help.starts_with("known are ")) {
        help.extend(own.iter().flat_map(|field| [", `", field, "`"]));
    }
    problem
}

/// For the paths in its errors.
#[derive(Deserialize)]
struct Section {
    envoy: Envoy,
}

/// Which file holds what.
struct Files {
    source: PathBuf,
    /// By path in the document.
    others: BTreeMap<String, PathBuf>,
}

impl Files {
    fn new(source: &Path) -> Self {
        Self { source: source.to_owned(), others: BTreeMap::new() }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.source.parent().unwrap_or(Path::new("")).join(name)
    }

    fn failure(&self, problems: Problems) -> Failure {
        let problems = problems.into_errors().into_iter().map(with_own_fields);
        Failure::Configuration(self.locate(problems.collect()))
    }

    fn locate(&self, problems: Vec<ConfigError>) -> Vec<Diagnostic> {
        let locate = |problem: ConfigError| Diagnostic { file: self.of(&problem.path), problem };
        problems.into_iter().map(locate).collect()
    }

    fn of(&self, path: &str) -> PathBuf {
        let holds = |place: &str| {
            path.strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        // The longest place is the last: a policy `a.b` comes after one `a`.
        let file = self.others.iter().rev().find(|(place, _)| holds(place));
        file.map_or_else(|| self.source.clone(), |(_, file)| file.clone())
    }

    /// Puts the files of a directory in the place of its name, and returns the directory.
    fn read_policies(
        &mut self,
        document: &mut Map<String, Value>,
        problems: &mut Problems,
    ) -> Option<PathBuf> {
        let Some(Value::String(name)) = document.get("policies") else { return None };
        let directory = self.beside(name);
        let mut policies = Map::new();
        match policy_files(&directory) {
            Ok(files) => {
                for (name, file) in files {
                    let path = format!("policies.{name}");
                    if file.extension().is_none_or(|kind| kind != "yaml") {
                        let message = format!("`{}` is not read", file.display());
                        problems.add_with_help(path, message, "let its name end with `.yaml`");
                        continue;
                    }
                    let policy = read_yaml(&file).map_err(|message| problems.add(&path, message));
                    self.others.insert(path, file);
                    if let Ok(policy) = policy {
                        policies.insert(name, policy);
                    }
                }
            }
            Err(error) => {
                problems.add(
                    "policies",
                    format!("cannot read `{}`: {}", directory.display(), reason(&error)),
                );
            }
        }
        document.insert("policies".to_owned(), Value::Object(policies));
        Some(directory)
    }

    /// Puts each key set in the place of the name of its file.
    fn read_keys(&mut self, document: &mut Map<String, Value>, problems: &mut Problems) {
        let issuers = document.get_mut("issuers").and_then(Value::as_array_mut);
        for (index, issuer) in issuers.into_iter().flatten().enumerate() {
            let Some(issuer) = issuer.as_object_mut() else { continue };
            let Some(file) = issuer.remove("jwks_file") else { continue };
            let path = format!("issuers[{index}].jwks_file");
            let keys = match (&file, issuer.get("jwks")) {
                (Value::String(name), None) => {
                    let file = self.beside(name);
                    let keys = read_keys(&file).map_err(|message| problems.add(&path, message));
                    self.others.insert(format!("issuers[{index}].jwks"), file);
                    keys.ok()
                }
                (_, Some(_)) => {
                    problems.add(&path, "stands beside `jwks`: write one of the two");
                    None
                }
                (_, None) => {
                    problems.add(&path, "not the name of a file");
                    None
                }
            };
            if let Some(keys) = keys {
                issuer.insert("jwks".to_owned(), keys);
            }
        }
    }

    /// Puts the authorization server's metadata in the place of the name of its file.
    fn read_metadata(&mut self, document: &mut Map<String, Value>, problems: &mut Problems) {
        const SECTION: &str = "authorization_server_metadata";
        const FILE: &str = "authorization_server_metadata_file";
        let Some(file) = document.remove(FILE) else { return };
        if document.contains_key(SECTION) {
            return problems.add(FILE, format!("stands beside `{SECTION}`: write one of the two"));
        }
        let Value::String(name) = file else {
            return problems.add(FILE, "not the name of a file");
        };
        let file = self.beside(&name);
        match read_json(&file) {
            Ok((_, metadata)) => {
                self.others.insert(SECTION.to_owned(), file);
                document.insert(SECTION.to_owned(), metadata);
            }
            Err(message) => problems.add(FILE, message),
        }
    }
}

/// Whoever reads a private or a symmetric key can sign what the filter believes, and many can read what is
/// pushed.
fn check_keys(pushed: &Value, problems: &mut Problems) {
    let issuers = pushed.get("issuers").and_then(Value::as_array);
    for (index, issuer) in issuers.into_iter().flatten().enumerate() {
        let keys = issuer.pointer("/jwks/keys").and_then(Value::as_array);
        for (number, key) in keys.into_iter().flatten().enumerate() {
            if PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some()) {
                let help = "let its owner replace it: whoever reads the configuration could sign \
                            tokens with it; `deputy keys fetch` takes public keys alone";
                problems.add_with_help(
                    format!("issuers[{index}].jwks.keys[{number}]"),
                    "a private or symmetric key, which is compromised",
                    help,
                );
            }
        }
    }
}

/// `NAME.yaml` by `NAME`, without the decision cases.
fn policy_files(directory: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let has_cases = Path::new(stem).extension().is_some_and(|kind| kind == "test");
        // What is misnamed is to be told, whatever it is.
        let is_misnamed = kind != "yaml"
            && ["yaml", "yml", "json"].iter().any(|other| kind.eq_ignore_ascii_case(other));
        if !stem.starts_with('.') && (is_misnamed || kind == "yaml" && !has_cases) {
            files.push((stem.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a YAML file.
///
/// # Errors
/// Why that is not possible, with the place.
pub fn read_yaml(file: &Path) -> Result<Value, String> {
    let text = fs::read(file).map_err(|error| format!("cannot read it: {}", reason(&error)))?;
    yaml::file(text).map_err(|message| format!("{}:{message}", file.display()))
}

fn read_keys(file: &Path) -> Result<Value, String> {
    let (text, keys) = read_json(file)?;
    KeySet::from_slice(&text).map_err(|error| format!("`{}`: {error}", file.display()))?;
    Ok(keys)
}

fn read_json(file: &Path) -> Result<(Vec<u8>, Value), String> {
    let name = file.display();
    let text =
        fs::read(file).map_err(|error| format!("cannot read `{name}`: {}", reason(&error)))?;
    // A byte order mark, with which some editors begin a file, is no JSON.
    let text = text.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(text);
    let value = serde_json::from_slice(&text).map_err(|error| format!("`{name}`: {error}"))?;
    // What two parsers could read differently is refused here as in the filter.
    json::check(&text, &json::Limits::default()).map_err(|error| format!("`{name}`: {error}"))?;
    Ok((text, value))
}
