//! A disk that can lose power or fill up: ext4 on a loop device over a file of its own.
//!
//! Needs Linux, root (in CI `sudo` will do), a loop device, `mkfs.ext4` and `perl`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use crate::crash::load::Witness;

/// Ends ext4 at once, without writing its journal or anything else (`EXT4_IOC_SHUTDOWN` with
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`), when a byte comes or the pipe ends.
const CUT: &str = r#"
    open(my $disk, "<", $ARGV[0]) or die "open: $!";
    syswrite(STDOUT, "ready\n");
    sysread(STDIN, my $byte, 1);
    my $flags = pack("L", 2);
    defined(ioctl($disk, 0x8004587d, $flags)) or die "shutdown: $!";
"#;

/// Whether such disks can be made here. Says on standard error why not; where CI has root, that
/// is a failure.
pub fn available() -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(|| {
        let reason = missing();
        if let Some(reason) = &reason {
            let line = format!("tests on a disk of their own cannot run here: {reason}\n");
            // Past the test harness, which would keep it to itself.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        reason
    });
    let excused = reason.is_none() || !is_ci() || !is_root();
    assert!(excused, "CI must run these tests: {reason:?}");
    reason.is_none()
}

fn missing() -> Option<String> {
    let sudo = || is_ci() && output(as_root("true")).is_ok_and(|ran| ran.status.success());
    if !is_root() && !sudo() {
        return Some("they need root".to_owned());
    }
    match Disk::try_new(16) {
        Ok(disk) => disk.try_cut().err(),
        Err(reason) => Some(reason),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// The command, through `sudo` where CI runs without root.
fn as_root(name: &str) -> Command {
    if is_root() || !is_ci() {
        return Command::new(name);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", name]);
    command
}

fn output(mut command: Command) -> Result<Output, String> {
    let ran = command.stdin(Stdio::null()).output();
    ran.map_err(|error| format!("{:?}: {error}", command.get_program()))
}

fn run(mut command: Command) -> Result<(), String> {
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let said = format!("{command:?}");
    let ran = output(command)?;
    match ran.status.success() {
        true => Ok(()),
        false => Err(format!("{said}: {}", String::from_utf8_lossy(&ran.stderr).trim())),
    }
}

/// A mounted disk. Dropping it lets go of the loop device and removes everything.
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// An empty one of so many mebibytes.
    pub fn new(mebibytes: u64) -> Disk {
        Disk::try_new(mebibytes).unwrap()
    }

    fn try_new(mebibytes: u64) -> Result<Disk, String> {
        let disk = Disk { dir: tempfile::tempdir().unwrap() };
        File::create(disk.image()).unwrap().set_len(mebibytes << 20).unwrap();
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let owner = format!("root_owner={}:{}", user.as_raw(), group.as_raw());
        let mut mkfs = Command::new("mkfs.ext4");
        // Nothing is kept back for root, so that a full disk is full for everybody.
        mkfs.args(["-q", "-F", "-m", "0", "-E", &owner]).arg(disk.image());
        run(mkfs)?;
        fs::create_dir(disk.path()).unwrap();
        disk.try_mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn try_mount(&self) -> Result<(), String> {
        let mut mount = as_root("mount");
        mount.args(["-t", "ext4", "-o", "loop"]).arg(self.image()).arg(self.path());
        run(mount)
    }

    /// Unmounts it, as the power is gone, and mounts it, when ext4 replays its journal.
    pub fn remount(&self) {
        let mut umount = as_root("umount");
        umount.arg(self.path());
        run(umount).unwrap();
        self.try_mount().unwrap();
    }

    fn try_cut(&self) -> Result<(), String> {
        Cutter::start(&self.path())?.cut()
    }

    /// Gets ready to cut the power.
    pub fn cutter(&self) -> Cutter {
        Cutter::start(&self.path()).unwrap()
    }

    /// Writes without syncing: it succeeds only as long as the power is there.
    pub fn witness(&self) -> Witness {
        let file = File::create(self.path().join("witness")).unwrap();
        Arc::new(move || file.write_all_at(b"there", 0).is_ok())
    }

    /// Takes all the room there is, but `left` bytes. Removing the file gives it back.
    pub fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        let free = |file: &File| {
            // What was written before is counted only once it has its place.
            file.sync_all().unwrap();
            let room = rustix::fs::statvfs(self.path()).unwrap();
            room.f_bavail * room.f_frsize
        };
        loop {
            let wanted = free(&file).saturating_sub(left).min(1 << 20);
            let piece = vec![b'b'; wanted as usize];
            if wanted == 0 || file.write_all(&piece).is_err() {
                return path;
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut umount = as_root("umount");
        umount.arg("-l").arg(self.path());
        // It may not be mounted, and there is nobody to tell.
        let _ = run(umount);
    }
}

/// Cuts the power of a disk when told to, without the time that starting a process takes.
pub struct Cutter {
    child: Child,
}

impl Cutter {
    fn start(disk: &Path) -> Result<Cutter, String> {
        let mut perl = as_root("perl");
        perl.args(["-e", CUT]).arg(disk);
        perl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = perl.spawn().map_err(|error| format!("perl: {error}"))?;
        let mut ready = [0; 6];
        let read = child.stdout.take().unwrap().read_exact(&mut ready);
        let cutter = Cutter { child };
        match read {
            Ok(()) => Ok(cutter),
            Err(_) => cutter.end(),
        }
    }

    /// Nothing that is not on the disk by now gets there any more.
    pub fn cut(self) -> Result<(), String> {
        self.end().map(drop)
    }

    fn end(mut self) -> Result<Cutter, String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        if status.success() { Ok(self) } else { Err(format!("perl: {said}")) }
    }
}
