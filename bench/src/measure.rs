//! What the kernel says about the server's process, and medians.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Linux reports processor time in this unit to every program (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// Processor time that the process `pid` has used so far, threads that have ended included, user and system; in steps of 10 ms.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("reading the server's processor time")?;
    // The second field is the program's name in parentheses and may hold spaces; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')').context("the kernel's answer has no program name")?;
    let ticks: u32 = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>().unwrap_or_default()).sum();
    Ok(TICK * ticks)
}

/// Peak resident memory of the process `pid` in KiB.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("reading the server's status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("the kernel reports no VmHWM")?;
    line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).context("VmHWM is not a number")
}

/// Makes the peak count from now on (proc(5), clear_refs).
pub(crate) fn reset_peak_memory(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting the server's peak memory")
}

/// The middle one of the values; the mean of the two middle ones for an even number.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value below which `percent` of the ascending `sorted` lie, in microseconds.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1e6)
}
