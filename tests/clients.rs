//! Published clients of go-timeline against Seqline: what worked there must work here unchanged.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Server;

#[test]
fn the_published_go_client_works_over_grpc_and_http() {
    let client = build_go("go");
    let server = Server::start();
    let output = Command::new(client)
        .args(["-http", &server.http.to_string(), "-grpc", &server.grpc.to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "the Go client ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Builds `tests/clients/NAME`; the modules come from Go's module proxy the first time.
pub fn build_go(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name);
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-client"));
    // `-buildvcs=false`: a source tree that belongs to another user must build as well.
    let output = Command::new("go")
        .args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(source)
        .output()
        .unwrap_or_else(|e| {
            panic!("Go 1.19 or newer is needed (`apt-get install golang-go`, or ./test): {e}")
        });
    assert!(
        output.status.success(),
        "go build ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    binary
}
