//! What another process has used, from `/proc`.

use std::fs;

use crate::Fault;

/// CPU time of a process, in microseconds, user and system together: to the nanosecond where the kernel tells (the sum over
/// its present threads), else in ticks of 10 ms.
pub fn cpu_us(pid: u32) -> Result<u64, Fault> {
    match threads_ns(pid) {
        Some(ns) if ns > 0 => Ok(ns / 1000),
        _ => ticks_us(pid),
    }
}

/// Time on a CPU of all threads, from `schedstat`.
fn threads_ns(pid: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads
        .map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}

fn ticks_us(pid: u32) -> Result<u64, Fault> {
    const TICKS_PER_SECOND: u64 = 100; // USER_HZ, the same on every Linux that Rust supports
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets and may hold spaces; utime and stime are the 14th and 15th.
    let after_name = stat.rsplit_once(')').map_or(stat.as_str(), |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Ok(ticks * (1_000_000 / TICKS_PER_SECOND))
}

/// Memory of a process now, in KiB.
pub fn rss_kib(pid: u32) -> Result<u64, Fault> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.ok_or_else(|| format!("no VmRSS of process {pid}").into())
}
