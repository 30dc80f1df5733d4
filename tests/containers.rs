//! The files for containers against the program: its settings, commands and names. That an engine
//! runs them is not tried here: none can be had everywhere.

use std::path::{Path, PathBuf};

use crate::support::command::seqline;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The `HOST:PORT`s in a text.
fn addresses(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-.:".contains(c)));
    let address = |part: &&str| {
        part.split_once(':').is_some_and(|(host, port)| {
            host.starts_with(|c: char| c.is_ascii_lowercase()) && port.parse::<u16>().is_ok()
        })
    };
    parts.filter(address).map(str::to_owned).collect()
}

#[test]
fn the_settings_that_compose_mounts_are_right_and_lead_to_its_services() {
    let mounted = "deploy/seqline.yaml";
    let compose = file("compose.yaml");
    for part in [
        "command: [serve, --config, /etc/seqline.yaml]\n",
        &format!("- ./{mounted}:/etc/seqline.yaml:ro\n"),
    ] {
        assert!(compose.contains(part), "{part:?} is not in compose.yaml");
    }
    let path = root().join(mounted);
    let checked = seqline(&["check-config", "--json", "--config", path.to_str().unwrap()]).ok();
    let settings = &checked.json_lines()[0];
    assert_eq!(settings["data.store"], "mongo");
    assert_eq!(settings["server.http.addr"], "\"0.0.0.0:8000\"");
    assert_eq!(settings["server.grpc.addr"], "\"0.0.0.0:9000\"");

    let of = |setting: &str| addresses(settings[setting].as_str().unwrap());
    let mongo = of("data.mongo.source");
    assert_eq!(mongo.len(), 3, "{mongo:?}");
    assert_eq!(addresses(&file("deploy/mongo-init.js")), mongo);
    let others = [of("data.redis.addr"), of("registry.etcd.endpoints")].concat();
    assert_eq!(others, ["redis:6379", "etcd:2379"]);
    for address in mongo.iter().chain(&others) {
        let service = format!("\n  {}:\n", address.split(':').next().unwrap());
        assert!(compose.contains(&service), "compose.yaml has no service for {address}");
    }
}

#[test]
fn the_image_starts_the_program_as_it_wants_to_be_started() {
    let dockerfile = file("Dockerfile");
    // The arguments of its last command, after the program itself.
    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(command[0], "serve");
    let checked = seqline(&[&["check-config".to_owned()], &command[1..]].concat()).ok();
    assert!(checked.stdout.contains("These settings are right"), "{}", checked.stdout);
    // Where `health` asks by default is where that command listens.
    assert!(command.iter().any(|argument| argument.ends_with(":8000")));
    assert!(dockerfile.contains(r#"CMD ["/usr/local/bin/seqline", "health"]"#));
    let version = dockerfile.split_once("FROM rust:").unwrap().1.split_once('-').unwrap().0;
    let minor = |version: &str| version.split('.').nth(1).unwrap().parse::<u32>().unwrap();
    let wanted = file("Cargo.toml");
    let wanted = wanted.split_once("rust-version = \"").unwrap().1.split_once('"').unwrap().0;
    assert!(minor(version) >= minor(wanted), "Rust {version} is older than {wanted}");
}
