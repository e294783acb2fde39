//! `deputy.yaml`: the pushed configuration as people keep it.
//!
//! It is the pushed document with three differences: `policies` may name a directory with one file
//! for each policy, `issuers[].jwks_file` may stand in place of `jwks`, and the section `envoy` says
//! how Envoy is set up. Paths of files that are read here are relative to this file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mcp_deputy::config::pushed::Pushed;
use mcp_deputy::config::{Config, ConfigError, ConfigErrors, Problems, did_you_mean, typed};
use mcp_deputy::token::KeySet;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::envoy::Envoy;
use crate::report::{Diagnostic, Failure};
use crate::set::Set;
use crate::yaml;

/// A source file without errors.
pub struct Source {
    /// What the filter gets.
    pub pushed: Value,
    /// The same, compiled.
    pub config: Config,
    /// How Envoy is set up.
    pub envoy: Option<Envoy>,
    /// What is odd.
    pub warnings: Vec<Diagnostic>,
}

impl Source {
    /// Reads the file, what it names, and the overrides.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub fn read(path: &Path, overrides: Vec<Set>) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
        let mut files = Files::new(path);
        let mut document = yaml::value(&text).map_err(|message| {
            files.failure(vec![error("", format!("{}:{message}", path.display()))])
        })?;
        for set in overrides {
            set.apply(&mut document).map_err(Failure::Usage)?;
        }
        let Value::Object(mut document) = document else {
            let problem = error("", "the document is not an object".to_owned());
            return Err(files.failure(vec![problem]));
        };
        let mut problems = Problems::default();
        let envoy = document.remove("envoy");
        refuse_near_envoy(&mut document, &mut problems);
        let mut errors = Vec::new();
        let envoy = envoy.and_then(|value| {
            typed::<Section>(json!({ "envoy": value })).map_err(|found| errors.extend(found.0)).ok()
        });
        files.read_policies(&mut document, &mut problems);
        files.read_keys(&mut document, &mut problems);
        errors.extend(problems.into_result(Some(())).err().into_iter().flat_map(|found| found.0));
        let pushed = Value::Object(document);
        // Where a file could not be read, its place is empty: no use in judging what is there.
        let config = if errors.is_empty() {
            Config::from_value(pushed.clone())
        } else {
            typed::<Pushed>(pushed.clone()).and(Err(ConfigErrors(Vec::new())))
        };
        let envoy = envoy.map(|section| section.envoy);
        match config {
            Ok(config) => {
                let mut problems = Problems::default();
                if let Some(envoy) = &envoy {
                    envoy.check(&config, &pushed, &mut problems);
                }
                problems.into_result(Some(())).map_err(|found| files.failure(found.0))?;
                let warnings = files.locate(config.warnings.clone());
                Ok(Self { pushed, config, envoy, warnings })
            }
            Err(found) => {
                errors.extend(found.0);
                Err(files.failure(errors))
            }
        }
    }
}

/// For the paths in its errors.
#[derive(Deserialize)]
struct Section {
    envoy: Envoy,
}

fn error(path: &str, message: String) -> ConfigError {
    ConfigError { path: path.to_owned(), message, help: None }
}

/// The pushed configuration knows no `envoy`, so it could not say what `envoi` was meant to be.
fn refuse_near_envoy(document: &mut Map<String, Value>, problems: &mut Problems) {
    document.retain(|name, _| {
        let near = did_you_mean(name, ["envoy"]).is_some();
        if near {
            problems.add_unknown(name, format!("unknown field `{name}`"), name, ["envoy"]);
        }
        !near
    });
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

    fn failure(&self, errors: Vec<ConfigError>) -> Failure {
        Failure::Configuration(self.locate(errors))
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

    /// Puts the files of a directory in the place of its name.
    fn read_policies(&mut self, document: &mut Map<String, Value>, problems: &mut Problems) {
        let Some(Value::String(name)) = document.get("policies") else { return };
        let directory = self.beside(name);
        let mut policies = Map::new();
        match policy_files(&directory) {
            Ok(files) => {
                for (name, file) in files {
                    let path = format!("policies.{name}");
                    let policy = read_yaml(&file).map_err(|message| problems.add(&path, message));
                    self.others.insert(path, file);
                    if let Ok(policy) = policy {
                        policies.insert(name, policy);
                    }
                }
            }
            Err(error) => {
                problems.add("policies", format!("cannot read `{}`: {error}", directory.display()));
            }
        }
        document.insert("policies".to_owned(), Value::Object(policies));
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
                    keys.unwrap_or_default()
                }
                (_, Some(keys)) => {
                    problems.add(&path, "stands beside `jwks`: write one of the two");
                    keys.clone()
                }
                (_, None) => {
                    problems.add(&path, "not the name of a file");
                    Value::Null
                }
            };
            issuer.insert("jwks".to_owned(), keys);
        }
    }
}

/// `NAME.yaml` by `NAME`, without the bad samples and the decision cases.
fn policy_files(directory: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(stem) = name.and_then(|name| name.strip_suffix(".yaml")) else { continue };
        if !stem.starts_with('.') && !stem.ends_with("_bad") && !stem.ends_with(".test") {
            files.insert(stem.to_owned(), path);
        }
    }
    Ok(files)
}

fn read_yaml(file: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}"))?;
    yaml::value(&text).map_err(|message| format!("{}:{message}", file.display()))
}

fn read_keys(file: &Path) -> Result<Value, String> {
    let name = file.display();
    let text = fs::read(file).map_err(|error| format!("cannot read `{name}`: {error}"))?;
    let keys = serde_json::from_slice(&text).map_err(|error| format!("`{name}`: {error}"))?;
    KeySet::from_slice(&text).map_err(|error| format!("`{name}`: {error}"))?;
    Ok(keys)
}
