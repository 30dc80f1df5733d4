//! Loading settings from every source, and the texts made from their list.

mod registry;
mod secret;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::setting::Listed;
use super::{Config, Durability, LogLevel, Sources, example, listed, reference};

/// A file `text` in a directory of its own.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn load(path: Option<&Path>, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let sources = Sources { path: path.map(Path::to_path_buf), variables, flags: Vec::new() };
    Config::load(sources).map_err(|error| error.to_string())
}

fn load_text(text: &str) -> Result<Config, String> {
    let (_dir, path) = file(text);
    load(Some(&path), &[])
}

#[test]
fn nothing_given_is_the_default_and_that_is_reached_from_this_machine_only() {
    let config = load(None, &[("PATH", "/bin"), ("SEQLINE", "no setting")]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.server.http.addr, "127.0.0.1:8000");
    assert_eq!(config.server.grpc.addr, "127.0.0.1:9000");
    assert_eq!(config.data.durability, Durability::Fsync);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn the_printed_file_names_every_setting_and_loads_to_exactly_the_default() {
    let text = example();
    assert_eq!(load_text(&text).unwrap(), Config::default());
    let items = super::yaml::read(&text).unwrap();
    let in_file: Vec<String> = items.iter().map(|item| item.path.join(".")).collect();
    let in_list: Vec<String> = Config::default().effective().into_iter().map(|(k, _)| k).collect();
    assert_eq!(in_file, in_list);
}

#[test]
fn every_setting_is_explained_and_stands_on_the_page() {
    let page = reference();
    for listed in listed() {
        let (key, doc) = match listed {
            Listed::Group { key, doc } => (key, doc),
            Listed::Setting(setting) => (setting.key, setting.doc),
        };
        assert!(doc.ends_with(['.', '`']), "{key}: {doc:?}");
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn every_setting_can_be_given_as_a_variable() {
    for listed in listed() {
        let Listed::Setting(setting) = listed else { continue };
        let name = format!("SEQLINE__{}", setting.key.to_uppercase().replace('.', "__"));
        let value = setting.default.trim_matches(['"', '[', ']']);
        assert_eq!(load(None, &[(&name, value)]), Ok(Config::default()), "{name}={value}");
    }
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let (_dir, path) = file("log: {level: debug}\nserver: {threads: 3, http: {addr: ':1'}}\n");
    let variables = [("SEQLINE__SERVER__THREADS", "4"), ("SEQLINE__SERVER__HTTP__ADDR", ":2")];
    let sources = Sources {
        path: Some(path),
        variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
        flags: vec![("server.http.addr", "--http", ":3".to_owned())],
    };
    let config = Config::load(sources).unwrap();
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.server.threads, 4);
    assert_eq!(config.server.http.addr, ":3");
}

#[test]
fn files_of_a_directory_are_merged_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("b.yaml", "server: {http: {timeout: 2s}}\ncors: {allowedOrigins: ['https://b']}\n");
    write("a.yml", "server: {threads: 2, http: {timeout: 1s}}\ncors: {allowed_origins: ['*']}\n");
    write("c.json", "{\"data\": {\"dir\": \"${paths.root:/srv}/messages\"}}");
    write(".hidden", "not: settings");
    let config = load(Some(dir.path()), &[]).unwrap();
    assert_eq!(config.server.threads, 2);
    assert_eq!(config.server.http.timeout, Duration::from_secs(2));
    assert_eq!(config.cors.allowed_origins, ["https://b"]);
    assert_eq!(config.data.dir, Path::new("/srv/messages"));

    write("notes.txt", "");
    assert!(load(Some(dir.path()), &[]).unwrap_err().contains("notes.txt is neither .yaml"));
    let empty = tempfile::tempdir().unwrap();
    assert!(load(Some(empty.path()), &[]).unwrap_err().contains("without a settings file"));
}

#[test]
fn values_are_read_in_every_way_people_write_them() {
    let text = "server: {http: {timeout: 0.2s}, grpc: {timeout: 1m}}\n\
                data: {idempotencyWindow: 2d, memory_bytes: 2GiB, queue_bytes_max: 1048576}\n\
                limits: {message_bytes_max: 1kB, group_members_max: '7'}\n";
    let config = load_text(text).unwrap();
    assert_eq!(config.server.http.timeout, Duration::from_millis(200));
    assert_eq!(config.server.grpc.timeout, Duration::from_secs(60));
    assert_eq!(config.data.idempotency_window, Duration::from_secs(2 * 86_400));
    assert_eq!(config.data.memory_bytes, 2 << 30);
    assert_eq!(config.data.queue_bytes_max, 1 << 20);
    assert_eq!(config.limits.message_bytes_max, 1_000);
    assert_eq!(config.limits.group_members_max, 7);
}

#[test]
fn a_wrong_setting_is_refused_with_its_place_and_what_is_right() {
    for (text, expected) in [
        ("\nserver:\n  htpp: {addr: ':1'}", &[":3: ", "server.htpp.addr", "server.http.addr?"][..]),
        ("http: {addr: ':1'}", &["did you mean server.http.addr?"]),
        ("limits: {conections_max: 1}", &["did you mean limits.connections_max?"]),
        ("quite: {another: thing}", &["there is no setting quite.another"]),
        ("servers: {}", &["there is no setting servers; did you mean server?"]),
        ("servers:", &["there is no setting servers"]),
        ("server: 3", &["server is a group of settings"]),
        ("server: {http: {addr: {a: 1}}}", &["there is no setting server.http.addr.a"]),
        ("server: {http: {addr: {}}}", &["server.http.addr cannot be a group", "HOST:PORT"]),
        ("server: {http: {addr: [a]}}", &["server.http.addr cannot be a list"]),
        ("server: {http: {addr: localhost}}", &["cannot be \"localhost\"", "HOST:PORT"]),
        ("server: {http: {addr: 'http://x:1'}}", &["HOST:PORT"]),
        ("server: {http: {network: unix}}", &["cannot be \"unix\"; allowed: tcp, tcp4, tcp6"]),
        ("server: {http: {timeout: 10}}", &["cannot be \"10\"", "with its unit"]),
        ("server: {http: {timeout: -1s}}", &["cannot be \"-1s\""]),
        ("server: {http: {timeout: 3d}}", &["from 0s to 1d"]),
        ("data: {memory_bytes: 1MiB}", &["bytes from 32MiB to 1TiB", "256KiB"]),
        ("data: {memory_bytes: 99999999999999999999TiB}", &["bytes from"]),
        ("limits: {connections_max: -1}", &["a whole number from 1 to 1000000"]),
        ("limits: {connections_max: 1.5}", &["a whole number"]),
        ("data: {durability: always}", &["allowed: fsync, interval, none"]),
        ("cors: {allowed_origins: ['chat.example.org/x']}", &["cors.allowed_origins", "origin"]),
        ("log: {level: info}\nlog: {level: warn}", &[":2: ", "log.level is given again"]),
        ("data: {dir: a, Dir: b}", &["data.dir is given again"]),
        ("data: {dir: '${no.where}'}", &["no file gives no.where"]),
        ("a: [", &["this is not YAML"]),
        ("server: {http: {addr: ':1'}, grpc: {addr: ':1'}}", &["are both :1"]),
        ("limits: {request_bytes_max: 1KiB}", &["could not be sent"]),
    ] {
        let refused = load_text(text).expect_err(text);
        for part in expected {
            assert!(refused.contains(part), "{text:?}: {part:?} is not in {refused}");
        }
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let refused = load_text("log: {level: loud}\nserver: {threads: many}\n").unwrap_err();
    assert!(refused.contains("log.level") && refused.contains("server.threads"), "{refused}");
}

#[test]
fn a_wrong_variable_is_refused_by_its_name() {
    let refused = load(None, &[("SEQLINE__SERVER__HTTP__ADRR", ":1")]).unwrap_err();
    assert!(refused.contains("variable SEQLINE__SERVER__HTTP__ADRR"), "{refused}");
    assert!(refused.contains("did you mean server.http.addr?"), "{refused}");
}

#[test]
fn a_missing_file_is_named() {
    let refused = load(Some(Path::new("/no/such.yaml")), &[]).unwrap_err();
    assert!(refused.contains("/no/such.yaml cannot be read"), "{refused}");
}
