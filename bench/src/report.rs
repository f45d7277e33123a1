//! The tables, in Markdown.

use std::fs;
use std::io::{self, Write};

use crate::plugins::{Plugins, Times};
use crate::scenario::Line;

/// The stages in the order of a message's way; `total` is from the last octet to the reply.
const STAGES: [&str; 10] = ["receive", "attribute", "verify", "classify", "select", "render", "insert", "seal", "handoff", "total"];

/// What it ran on.
pub(crate) fn machine() -> String {
    let first = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(key).map(|value| value.trim_start_matches([' ', '\t', ':']).to_owned()));
        value.unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "Machine: {}, {cores} cores, Linux {}; load average at the start: {}.",
        first("/proc/cpuinfo", "model name"),
        kernel.trim(),
        fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default()
    )
}

/// One line of the first table, as soon as it is known.
pub(crate) fn throughput(out: &mut impl Write, first: bool, line: &Line) -> io::Result<()> {
    if first {
        writeln!(
            out,
            "| message | connections | seal | messages/s | CPU us/message (lowest to highest round) | p50 ms | p99 ms | peak MiB (at start) | generator + sink us/message | messages/return connection |"
        )?;
        writeln!(out, "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|")?;
    }
    let (scenario, (low, high)) = (&line.scenario, line.processor_range);
    writeln!(
        out,
        "| {} KB | {} | {} | {:.0} | {:.0} ({low:.0} to {high:.0}) | {:.1} | {:.1} | {} ({}) | {:.0} | {:.1} |",
        scenario.kilobytes,
        scenario.connections,
        if scenario.sealed { "yes" } else { "no" },
        line.rate,
        line.processor,
        line.p50 / 1e3,
        line.p99 / 1e3,
        line.peak / 1024,
        line.start_peak / 1024,
        line.own_processor,
        line.reuse
    )
}

/// Where the time goes.
pub(crate) fn stages(out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    writeln!(out, "\nMean wall time of a message in each stage, us:\n")?;
    writeln!(out, "| message | connections | seal | {} |", STAGES.join(" | "))?;
    writeln!(out, "|---|---:|---|{}", "---:|".repeat(STAGES.len()))?;
    for line in lines {
        let scenario = &line.scenario;
        let times = STAGES.map(|stage| line.stages.get(stage).map_or_else(|| "-".to_owned(), |time| format!("{time:.0}")));
        let seal = if scenario.sealed { "yes" } else { "no" };
        writeln!(out, "| {} KB | {} | {seal} | {} |", scenario.kilobytes, scenario.connections, times.join(" | "))?;
    }
    Ok(())
}

/// The plugin calls by themselves.
pub(crate) fn plugins(out: &mut impl Write, calls: usize, plugins: &Plugins) -> io::Result<()> {
    writeln!(out, "\nPlugin calls through fresh instances, {calls} times one after the other on one thread, us:\n")?;
    writeln!(out, "| call | p50 | p99 |\n|---|---:|---:|")?;
    for (name, Times { p50, p99 }) in [("select", &plugins.select), ("render", &plugins.render), ("select + render", &plugins.both)] {
        writeln!(out, "| {name} | {p50:.1} | {p99:.1} |")?;
    }
    Ok(())
}
