//! What the process itself uses, from `/proc/self`, under the names that every exporter has.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Resources of this process. A figure that the system does not tell is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUse {
    /// User and system time, seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory, bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_descriptors: Option<u64>,
    /// Start, seconds since 1970.
    pub start_time_seconds: Option<f64>,
}

/// Clock ticks a second in `/proc/self/stat`: fixed at 100 in the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the figures now.
pub fn process_use() -> ProcessUse {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let system = fs::read_to_string("/proc/stat").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
    ProcessUse { open_descriptors: open, ..parse(&stat, &status, &system) }
}

/// `stat` and `status` of the process, `stat` of the system, as the kernel prints them.
fn parse(stat: &str, status: &str, system: &str) -> ProcessUse {
    // The name in brackets may hold blanks and brackets: fields are counted from the last bracket.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let booted = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    let resident_kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    ProcessUse {
        cpu_seconds: ticks(11).zip(ticks(12)).map(|(user, kernel)| (user + kernel) / TICKS_PER_SECOND),
        resident_bytes: resident_kib.map(|kib| kib * 1024),
        open_descriptors: None,
        start_time_seconds: booted.zip(ticks(19)).map(|(boot, start)| boot + start / TICKS_PER_SECOND),
    }
}

/// Seconds since 1970.
pub fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_tables() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1200 9 9";
        let used = parse(stat, "Name:\tx\nVmRSS:\t    2048 kB\n", "cpu 1\nbtime 1700000000\n");
        assert_eq!(used.cpu_seconds, Some(3.0));
        assert_eq!(used.resident_bytes, Some(2 << 20));
        assert_eq!(used.start_time_seconds, Some(1_700_000_012.0));
        assert_eq!(parse("", "", ""), ProcessUse::default());
    }
}
