//! Holds the direction of dependencies between the crates of the workspace.

use std::collections::BTreeSet;
use std::process::Command;

/// What each crate may depend on within the workspace; everything else is the wrong direction.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("seqline-core", &[]),
    ("seqline-embedded", &["seqline-core"]),
    ("seqline-mongo", &["seqline-core"]),
    ("seqline-api", &[]),
    ("seqline-server", &["seqline-core", "seqline-embedded", "seqline-mongo", "seqline-api"]),
    (
        "seqline",
        &["seqline-core", "seqline-embedded", "seqline-mongo", "seqline-api", "seqline-server"],
    ),
];

/// Libraries that would bring a network, a disk or a wire format into the domain.
const NOT_IN_CORE: [&str; 7] = ["hyper", "tonic", "axum", "prost", "fjall", "mongodb", "rustix"];

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo runs, as it started this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of a package's dependencies that end up in a build of it.
fn dependencies(package: &serde_json::Value) -> BTreeSet<&str> {
    let list = package["dependencies"].as_array().unwrap().iter();
    list.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap()).collect()
}

#[test]
fn crates_depend_only_in_the_direction_of_the_architecture() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ALLOWED.iter().map(|(name, _)| *name).collect());

    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = ALLOWED.iter().find(|(n, _)| *n == name).unwrap();
        for dependency in dependencies(package).intersection(&names) {
            assert!(allowed.contains(dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_domain_knows_no_network_no_disk_and_no_wire_types() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let core = packages.iter().find(|p| p["name"] == "seqline-core").unwrap();
    for library in NOT_IN_CORE {
        assert!(!dependencies(core).contains(library), "seqline-core must not use {library}");
    }
}
