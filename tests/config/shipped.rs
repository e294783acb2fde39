//! Every configuration that is shipped is sound and fresh.

use std::fs;
use std::path::Path;

use mcp_deputy::config::Config;
use serde_json::{Value, json};

use super::support::{deputy, scratch, stderr, stdout, text};
use super::{pushed, yaml};

#[test]
fn the_shipped_configuration_is_sound() {
    let output = deputy(&["check"]);
    assert_eq!(stderr(&output), "deputy.yaml: fine, 1 endpoint\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_shipped_rendering_is_fresh() {
    let output = deputy(&["render", "--check"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("", Some(0)),
        "run deputy render"
    );
}

#[test]
fn the_shipped_schemas_are_fresh() {
    for name in ["config", "source", "policy", "cases"] {
        let fresh =
            stdout(&deputy(&["schema", name])) == text(&format!("schema/{name}.schema.json"));
        assert!(fresh, "run deputy schema {name} > schema/{name}.schema.json");
    }
}

#[test]
fn every_policy_that_is_shipped_compiles() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".yaml");
        if stem.is_some_and(|stem| Path::new(stem).extension().is_none_or(|kind| kind != "test")) {
            let mut pushed = pushed();
            pushed["policies"] = json!({"it": yaml(&format!("policies/{name}"))});
            pushed["endpoints"][0]["policy"] = json!("it");
            Config::from_value(pushed).unwrap();
        }
    }
}

/// Whoever starts from the page gets no error, and no warning.
#[test]
fn the_first_configuration_of_the_page_is_sound() {
    let page = text("docs/start.md");
    let blocks: Vec<&str> = page.split("```yaml\n").skip(1).collect();
    let block = |index: usize| blocks[index].split("```").next().unwrap();
    let directory = scratch("start");
    for name in ["policies", "keys"] {
        fs::create_dir(directory.join(name)).unwrap();
    }
    fs::copy("keys/authorization-server.jwks.json", directory.join("keys/login.jwks.json"))
        .unwrap();
    fs::write(directory.join("policies/notes.yaml"), block(1)).unwrap();
    let file = directory.join("deputy.yaml");
    fs::write(&file, block(0)).unwrap();
    let check = |more: &[&str]| {
        let output = deputy(&[&["check", "--config", file.to_str().unwrap()], more].concat());
        assert_eq!(stderr(&output), format!("{}: fine, 1 endpoint\n", file.display()));
    };
    check(&[]);
    let secret: Value = serde_yaml_ng::from_str(block(2)).unwrap();
    let rendered = text("envoy.yaml");
    assert!(
        rendered.contains(&format!("name: {}", secret["resources"][0]["name"].as_str().unwrap()))
    );
    let more: Value = serde_yaml_ng::from_str(block(3)).unwrap();
    let documentation = &more["protected_resource"]["resource_documentation"];
    let mut sets = vec![
        format!("protected_resource.resource_documentation={documentation}"),
        format!("ignore={}", more["ignore"]),
    ];
    let envoy = more["envoy"].as_object().unwrap().iter();
    sets.extend(envoy.map(|(name, value)| format!("envoy.{name}={value}")));
    check(&sets.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>());
}
