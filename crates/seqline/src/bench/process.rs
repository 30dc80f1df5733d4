//! The server's process, if it runs on this machine: found by the port it listens on, so that
//! any server can be measured without being asked.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// The state of a listening socket in the kernel's tables.
const LISTENING: &str = "0A";

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    id: u32,
}

impl Process {
    /// The process that listens at `address`; `None` if it is elsewhere or another user's.
    pub fn listening(address: SocketAddr) -> Option<Process> {
        // An address of another machine cannot be bound here, whatever the port.
        TcpListener::bind((address.ip(), 0)).ok()?;
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
        let inode =
            tables.iter().flatten().find_map(|table| inode_listening(table, address.port()))?;
        let wanted = format!("socket:[{inode}]");
        let ids = fs::read_dir("/proc").ok()?.flatten();
        let mut ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.find(|id| has_open(*id, &wanted)).map(|id| Process { id })
    }

    /// This process.
    pub fn this() -> Process {
        Process { id: std::process::id() }
    }

    /// Processor time of all its threads, in steps of 10 ms.
    pub fn processor_time(self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).ok()?;
        // The name in brackets may hold anything, brackets too.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
        let ticks = fields.next()?? + fields.next()??;
        Some(Duration::from_millis(ticks * 10))
    }

    /// Memory in use now and at most, in bytes.
    pub fn memory_bytes(self) -> Option<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
        };
        Some((value("VmRSS:")?, value("VmHWM:")?))
    }
}

/// The inode of the socket that listens on `port`, in a table of the kernel.
fn inode_listening(table: &str, port: u16) -> Option<u64> {
    let port = format!("{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&LISTENING);
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        (listens && local == port).then(|| fields.get(9)?.parse().ok())?
    })
}

fn has_open(process: u32, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let mut files = files.flatten();
    files.any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_listens_is_found_and_measured() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = Process::listening(address).unwrap();
        assert_eq!(found.id, std::process::id());
        assert!(found.processor_time().unwrap() < Duration::from_secs(3_600));
        let (now, peak) = found.memory_bytes().unwrap();
        assert!(0 < now && now <= peak);
        assert_eq!(Process::listening(([192, 0, 2, 1], address.port()).into()), None);
        drop(listener);
        assert_eq!(Process::listening(address), None);
    }
}
