//! Settings through the real program: what wins, what is refused, what is printed and masked.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::Server;
use crate::support::process::SEQLINE;

fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(SEQLINE).args(args).envs(variables.iter().copied()).output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn check_refusal(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for part in parts.iter().chain(&["seqline gen-config"]) {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// The settings `check-config --json` prints.
fn settings(args: &[&str], variables: &[(&str, &str)]) -> serde_json::Value {
    let args = [&["check-config", "--json"], args].concat();
    serde_json::from_str(&out(&run(&args, variables))).unwrap()
}

fn fixture(name: &str) -> String {
    format!("{}/../../tests/fixtures/config/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_printed_file_loads_to_exactly_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    std::fs::write(&path, out(&run(&["gen-config"], &[]))).unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(settings(&["--config", path], &[]), settings(&[], &[]));
    let text = out(&run(&["check-config", "--config", path], &[]));
    assert!(text.contains("These settings are right"), "{text}");
}

#[test]
fn the_page_about_settings_is_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let printed = out(&run(&["gen-config", "--format", "markdown"], &[]));
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == printed, "run: seqline gen-config --format markdown > docs/config.md");
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    let text = "server: {threads: 3, http: {addr: ':1'}, grpc: {addr: ':2'}}\n";
    std::fs::write(&path, text).unwrap();
    let variables = [("SEQLINE__SERVER__HTTP__ADDR", ":3"), ("SEQLINE__SERVER__GRPC__ADDR", ":4")];
    // A directory, and the flag as Go programs write it.
    let args = ["-conf", dir.path().to_str().unwrap(), "--grpc", ":5"];
    let settings = settings(&args, &variables);
    assert_eq!(settings["server.threads"], "3");
    assert_eq!(settings["server.http.addr"], "\":3\"");
    assert_eq!(settings["server.grpc.addr"], "\":5\"");
}

#[test]
fn a_wrong_setting_is_refused_with_its_place_by_check_config_and_by_serve() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.yaml");
    std::fs::write(&path, "server:\n  http:\n    adr: ':1'\nlog:\n  level: loud\n").unwrap();
    let path = path.to_str().unwrap();
    for command in ["check-config", "serve"] {
        let expected = [
            "wrong.yaml:3: there is no setting server.http.adr; did you mean server.http.addr?",
            "wrong.yaml:5: log.level cannot be \"loud\"; allowed: error, warn, info, debug",
        ];
        check_refusal(&run(&[command, "--config", path], &[]), &expected);
        let variable = [("SEQLINE__LIMITS__CONECTIONS_MAX", "1")];
        let expected = ["variable SEQLINE__LIMITS__CONECTIONS_MAX", "limits.connections_max?"];
        check_refusal(&run(&[command], &variable), &expected);
        check_refusal(&run(&[command, "--http", "8000"], &[]), &["flag --http", "HOST:PORT"]);
        check_refusal(&run(&[command, "--config", "/no/such"], &[]), &["/no/such"]);
    }
}

#[test]
fn a_file_of_go_timeline_chooses_mongo_unless_a_setting_says_otherwise() {
    let path = fixture("go-timeline.yaml");
    let chosen = settings(&["--config", &path], &[]);
    assert_eq!(chosen["server.http.addr"], "\"0.0.0.0:8000\"");
    assert_eq!(chosen["data.redis.read_timeout"], "200ms");
    let text = out(&run(&["check-config", "--config", &path], &[]));
    assert!(!text.contains("does not use"), "{text}");
    // A directory is the embedded store's: which one is meant?
    let either = run(&["check-config", "--config", &path, "--data", "elsewhere"], &[]);
    check_refusal(&either, &["data.mongo.source and data.dir (elsewhere)", "set data.store"]);

    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("data.store", "embedded"),
        ("data.mongo.source", "mongodb://127.0.0.1:27017"),
        ("data.redis.addr", "127.0.0.1:6379"),
    ];
    let server = Server::start_on_set(&dir.path().join("data"), &settings);
    let log = server.log();
    let unused: Vec<&str> = log.lines().filter(|line| line.contains("does not use")).collect();
    assert_eq!(unused.len(), 1, "{log}");
    let expected = "the embedded store does not use these settings: data.mongo.source, \
                    data.redis.addr";
    assert!(unused[0].contains(expected), "{log}");
}

#[test]
fn a_mongodb_that_cannot_be_used_is_told_with_the_next_step_and_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |settings: &[(&str, &str)]| {
        let mut command = Command::new(SEQLINE);
        command.args(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        let output = command.current_dir(dir.path()).envs(settings.iter().copied()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        text
    };
    let nobody = format!("127.0.0.1:{}", crate::support::daemon::free_port());
    let source = format!("mongodb://ann:hunter2@{nobody}");
    let short = ("SEQLINE__DATA__MONGO__OPERATION_TIMEOUT", "1s");
    let refused = serve(&[("SEQLINE__DATA__MONGO__SOURCE", source.as_str()), short]);
    for part in ["waiting for MongoDB", &nobody, "not answered within 1 s", "data.mongo.source"] {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }
    for wrong in ["db:27017", "mongodb://ann:hunter2@", "http://hunter2@db", "mongodb://a:%@b"] {
        let refused = serve(&[("SEQLINE__DATA__MONGO__SOURCE", wrong)]);
        assert!(refused.contains("mongodb://USER:PASSWORD@HOST"), "{wrong}: {refused}");
    }
    let refused = serve(&[("SEQLINE__DATA__MONGO__SOURCE", "mongodb+srv://ann:hunter2@db")]);
    assert!(refused.contains("name the servers themselves"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no store was made");
}

#[test]
fn a_secret_in_a_file_of_its_own_is_used_and_shown_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source");
    std::fs::write(&path, "mongodb://ann:hunter2@db:27017\n").unwrap();
    let variable = ("SEQLINE__DATA__MONGO__SOURCE_FILE", path.to_str().unwrap());
    let shown = settings(&[], &[variable]);
    assert_eq!(shown["data.mongo.source"], "\"mongodb://***@db:27017\"");
    check_refusal(
        &run(&["serve"], &[("SEQLINE__DATA__REDIS__PASSWORD_FILE", "/no/such")]),
        &["variable SEQLINE__DATA__REDIS__PASSWORD_FILE", "/no/such cannot be read"],
    );
}

#[test]
fn secrets_reach_neither_the_log_nor_a_listing() {
    let variables = [
        ("SEQLINE__DATA__REDIS__PASSWORD", "hunter2"),
        ("SEQLINE__DATA__MONGO__SOURCE", "mongodb://ann:hunter2@db:27017/?authSource=hunter2"),
        ("SEQLINE__DATA__STORE", "embedded"),
    ];
    let outputs = [
        run(&["check-config"], &variables),
        run(&["check-config", "--json"], &variables),
        // Fails after its settings are logged.
        run(&["serve", "--data", "/proc/seqline", "--http", ":0", "--grpc", ":0"], &variables),
    ];
    for output in outputs {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("mongodb://***@db:27017/?***"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in ["serve", "check", "check-config", "gen-config"] {
        let help = out(&run(&[command, "--help"], &[]));
        assert!(help.contains(&format!("  seqline {command}")), "{help}");
    }
    let help = out(&run(&["--help"], &[]));
    assert!(help.contains("Exit codes:"), "{help}");
    assert_eq!(run(&["serve", "--no-such-flag"], &[]).status.code(), Some(2));
}

#[test]
fn check_reads_a_directory_and_refuses_what_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_on(&data, &[] as &[&str]);
    let message = serde_json::json!({"from": "a", "to": "b", "message": "{}"});
    let sent = crate::support::http::post_json(server.http, "/timeline/send", &message);
    assert_eq!(sent.status, 200, "{sent:?}");
    assert!(server.stop().success());
    let path = data.to_str().unwrap();
    let text = out(&run(&["check", path], &[]));
    assert!(text.contains("2 inbox entries, 1 messages, 0 problems"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&out(&run(&["check", "--json", path], &[]))).unwrap();
    assert_eq!((&json["inboxEntries"], &json["problems"]), (&2.into(), &0.into()));

    let empty = tempfile::tempdir().unwrap();
    for place in [empty.path().to_str().unwrap(), "/no/such/directory"] {
        let output = run(&["check", place], &[]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(place), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "check makes no store");
}
