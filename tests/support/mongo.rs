//! A server for a test that speaks MongoDB's wire protocol: `tests/servers/mongo` on a JVM.
//!
//! It proves logic, not speed and not MongoDB's own replication. What it lacks (interleaved
//! batches, lost replies, failing commands) comes from [`super::mongo_proxy`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use super::daemon::Daemon;

/// Prepared once for all servers of this test process: the class path of the launcher.
static CLASS_PATH: LazyLock<OsString> = LazyLock::new(class_path);

/// A running server, or a killed one.
pub struct Mongo(Daemon);

impl Mongo {
    /// Starts an empty server that forgets everything when it ends.
    pub fn in_memory() -> Mongo {
        Mongo::start(|_| "memory".into())
    }

    /// Starts an empty server that keeps what it acknowledged, also when it is killed. Its file
    /// grows by several kilobytes with each command.
    pub fn durable() -> Mongo {
        Mongo::start(|dir| dir.join("data.mv").into_os_string())
    }

    fn start(storage: impl Fn(&Path) -> OsString + Send + 'static) -> Mongo {
        LazyLock::force(&CLASS_PATH);
        Mongo(Daemon::start("the MongoDB-wire server", "READY ", move |port, dir| {
            let mut command = Command::new("java");
            // Quick to start: no optimising compiler, no threads for collecting garbage.
            command.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
            command.arg("-cp").arg(&*CLASS_PATH).args(["Launcher", &port.to_string()]);
            command.arg(storage(dir)).current_dir(dir);
            command
        }))
    }

    /// For drivers.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address())
    }
}

impl std::ops::Deref for Mongo {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.0
    }
}

impl std::ops::DerefMut for Mongo {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.0
    }
}

/// Where the launcher's source, its libraries' names and their checksums are.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/mongo").canonicalize().unwrap()
}

/// Fetches the libraries if they are not there, compiles the launcher.
fn class_path() -> OsString {
    let libraries = libraries();
    let sums = std::fs::read_to_string(source().join("SHA256SUMS")).unwrap();
    let names = sums.lines().map(|line| line.split_whitespace().nth(1).unwrap());
    let mut paths: Vec<PathBuf> = names.map(|name| libraries.join(name)).collect();
    let jars = std::env::join_paths(&paths).unwrap();

    // Another test process may do the same now: each compiles for itself and puts its files,
    // which are the same, in place whole.
    let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mongo-server");
    std::fs::create_dir_all(&classes).unwrap();
    let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // The compiler is a module of every Java runtime, whereas `javac` is a package of its own.
    let mut compiler = Command::new("java");
    compiler.args(["-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp"]).arg(jars);
    compiler.arg("-d").arg(fresh.path()).arg(source().join("Launcher.java"));
    run(compiler, "Java 17 or newer (`apt-get install openjdk-17-jre-headless`, or ./test)");
    for class in std::fs::read_dir(fresh.path()).unwrap() {
        let class = class.unwrap();
        std::fs::rename(class.path(), classes.join(class.file_name())).unwrap();
    }
    paths.push(classes);
    std::env::join_paths(paths).unwrap()
}

/// The directory with the libraries of exactly the pinned contents, in the user's cache.
fn libraries() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        Path::new(&std::env::var_os("HOME").expect("a user has a home")).join(".cache")
    });
    let parent = cache.join("seqline/servers");
    let place = parent.join("mongo-java-server");
    if sums_hold(&place).is_ok() {
        return place;
    }
    std::fs::create_dir_all(&parent).unwrap();
    let fresh = tempfile::tempdir_in(&parent).unwrap();
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(source().join("pom.xml"));
    maven.arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies");
    maven.args(["-DincludeScope=runtime"]);
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(fresh.path());
    maven.arg(output);
    run(maven, "Maven (`apt-get install maven`, or ./test)");
    if let Err(told) = sums_hold(fresh.path()) {
        panic!("Maven brought other libraries than the pinned ones:\n{told}");
    }
    // What is there is of another version or damaged.
    let _ = std::fs::remove_dir_all(&place);
    let fetched = fresh.keep();
    if std::fs::rename(&fetched, &place).is_err() {
        // Another test process was quicker, and what it has put there must hold as well.
        let _ = std::fs::remove_dir_all(&fetched);
        sums_hold(&place).unwrap();
    }
    place
}

/// Whether all libraries are in `place`, byte for byte.
fn sums_hold(place: &Path) -> Result<(), String> {
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "--quiet"]).arg(source().join("SHA256SUMS"));
    match check.current_dir(place).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(text(&output)),
        Err(e) => Err(e.to_string()),
    }
}

fn run(mut command: Command, needed: &str) {
    let output = command.output().unwrap_or_else(|e| panic!("{needed} is needed: {e}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output));
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
