//! Tries the documentation as written: each `console` block of a page runs, in order, against a
//! fresh server, and prints what the page says. A line `…` stands for any further output.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Server;
use crate::support::mongo::Mongo;
use crate::support::process::SEQLINE;

/// The pages with `console` blocks.
const PAGES: [&str; 3] = ["README.md", "README.zh.md", "docs/api.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// One command and what it prints.
struct Example {
    line: usize,
    command: String,
    output: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            let (command, output) = (command.to_owned(), String::new());
            found.push(Example { line: number + 1, command, output });
        } else if inside {
            let example = found.last_mut().expect("a console block begins with a command");
            example.output += line;
            example.output.push('\n');
        }
    }
    found
}

/// Runs one command as a user would, but on this server's ports.
fn run(command: &str, server: &Server) -> String {
    let command = command
        .replace("127.0.0.1:8000", &server.http.to_string())
        .replace("127.0.0.1:9000", &server.grpc.to_string());
    shell(&command)
}

/// Runs one command at the root of the project, with the program in the path.
fn shell(command: &str) -> String {
    let folder = Path::new(SEQLINE).parent().unwrap().display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", command])
        .env("PATH", path)
        .current_dir(root())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn same(printed: &str, wanted: &str) -> bool {
    match wanted.split_once("…\n") {
        Some((start, end)) => printed.starts_with(start) && printed.ends_with(end),
        None => printed.trim_end() == wanted.trim_end(),
    }
}

#[test]
fn every_example_prints_what_its_page_says() {
    let mut wrong = Vec::new();
    for name in PAGES {
        let page = fs::read_to_string(root().join(name)).unwrap();
        let examples = examples(&page);
        assert!(!examples.is_empty(), "{name} has examples");
        let server = Server::start();
        for Example { line, command, output } in examples {
            let printed = run(&command, &server);
            if !same(&printed, &output) {
                wrong.push(format!("{name}:{line}: {command}\nsays\n{output}\nprints\n{printed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The commands of the guide on switching run against a database that go-timeline wrote, in an
/// empty directory.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_on_switching_print_what_it_says() {
    let mongo = Mongo::in_memory();
    crate::adoption::chat(&mongo).await;
    let page = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let examples = examples(&page);
    assert!(examples.len() >= 3, "the guide has commands");
    for Example { line, command, output } in examples {
        let command = command.replace("mongodb://127.0.0.1:27017", &format!("'{}'", mongo.uri()));
        let command = format!("cd '{}' && {command}", place.path().display());
        let printed = tokio::task::spawn_blocking(move || shell(&command)).await.unwrap();
        assert!(same(&printed, &output), "docs/migrating.md:{line} prints\n{printed}");
    }
}

#[test]
fn the_go_example_of_the_readme_runs() {
    let module = root().join("tests/clients/go");
    let example = fs::read_to_string(module.join("example/main.go")).unwrap();
    let (_, code) = example.split_once('\n').expect("a comment stands before the code");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(code), "README.md shows tests/clients/go/example/main.go");

    let server = Server::start();
    let copy = tempfile::tempdir().unwrap();
    for file in ["go.mod", "go.sum"] {
        fs::copy(module.join(file), copy.path().join(file)).unwrap();
    }
    let code = example.replace("127.0.0.1:9000", &server.grpc.to_string());
    fs::write(copy.path().join("main.go"), code).unwrap();
    let run = Command::new("go").args(["run", "."]).current_dir(copy.path()).output();
    let output = run.expect("Go is installed; ./test installs it");
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.ends_with("1 {\"text\":\"hello\"}\n"), "{printed}{errors}");
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut wrong = Vec::new();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let top = ["README.md", "README.zh.md", "ARCHITECTURE.md", "CHANGELOG.md"];
    let pages = docs.chain(top.map(|name| root().join(name)));
    for page in pages.filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let outside = link.contains("://") || file.is_empty();
            if !outside && !page.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
