//! What was measured, and how it is printed.

use std::time::Duration;

use coxswain::clock::{Clock, RealClock};

/// One row of the table.
pub(crate) struct Figure {
    what: String,
    measured: String,
    verdict: Verdict,
}

enum Verdict {
    /// Goal, and whether it is met.
    Goal(String, bool),
    /// For information.
    None,
}

impl Figure {
    /// Something that must be at most so much.
    pub(crate) fn at_most(what: &str, value: f64, limit: f64, unit: &str, details: &str) -> Self {
        let measured = joined(&with_unit(value, unit), details);
        let goal = format!("at most {}", with_unit(limit, unit));
        Self { what: what.to_owned(), measured, verdict: Verdict::Goal(goal, value <= limit) }
    }

    /// Something that must be at least so much.
    pub(crate) fn at_least(what: &str, value: f64, limit: f64, unit: &str, details: &str) -> Self {
        let measured = joined(&with_unit(value, unit), details);
        let goal = format!("at least {}", with_unit(limit, unit));
        Self { what: what.to_owned(), measured, verdict: Verdict::Goal(goal, value >= limit) }
    }

    /// Something without a goal.
    pub(crate) fn note(what: &str, measured: String) -> Self {
        Self { what: what.to_owned(), measured, verdict: Verdict::None }
    }

    pub(crate) fn is_missed(&self) -> bool {
        matches!(self.verdict, Verdict::Goal(_, false))
    }
}

/// The same work done by something else and by us, in turns; what counts is the median of the ratios.
pub(crate) struct Pairs(Vec<(Duration, Duration)>);

impl Pairs {
    /// So many pairs, after one that does not count: costs that occur only once are left out.
    pub(crate) fn take(count: usize, raw: impl Fn() -> Duration, ours: impl Fn() -> Duration) -> Self {
        let pair = || (raw(), ours());
        pair();
        Self((0..count).map(|_| pair()).collect())
    }

    pub(crate) fn at_most(&self, what: &str, limit: f64) -> Figure {
        let ratios: Vec<f64> =
            self.0.iter().map(|(raw, ours)| ours.as_secs_f64() / raw.as_secs_f64()).collect();
        let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let raw = median(&self.0.iter().map(|(raw, _)| millis(*raw)).collect::<Vec<_>>());
        let ours = median(&self.0.iter().map(|(_, ours)| millis(*ours)).collect::<Vec<_>>());
        let details = format!("{}; medians {raw:.0} ms raw, {ours:.0} ms ctl", all.join(", "));
        Figure::at_most(what, median(&ratios), limit, "x", &details)
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value.fract() == 0.0 || value >= 100.0 { 0 } else { 2 };
    match unit {
        "" => format!("{value:.digits$}"),
        "x" => format!("{value:.digits$} x"),
        unit => format!("{value:.digits$} {unit}"),
    }
}

fn joined(measured: &str, details: &str) -> String {
    if details.is_empty() { measured.to_owned() } else { format!("{measured} ({details})") }
}

/// A Markdown table.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut lines =
        vec!["| figure | measured | goal | met |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for Figure { what, measured, verdict } in figures {
        let (goal, met) = match verdict {
            Verdict::Goal(goal, true) => (goal.as_str(), "yes"),
            Verdict::Goal(goal, false) => (goal.as_str(), "**no**"),
            Verdict::None => ("", ""),
        };
        lines.push(format!("| {what} | {measured} | {goal} | {met} |"));
    }
    lines.join("\n")
}

/// Date, processor, cores, kernel, and how busy the machine was with other things.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim()).to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    let day = RealClock::new().wall().strftime("%Y-%m-%d %H:%M UTC").to_string();
    format!("{day}; {cores} cores, {model}; Linux {kernel}; load average at the end {load}\n")
}

/// The middle of an odd number of values, the upper of the two middle ones of an even number.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The smallest value that at least so many percent of the values are not above.
pub(crate) fn percentile<T: PartialOrd + Copy>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("comparable values"));
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// How long that took, and what came of it.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = tokio::time::Instant::now();
    let result = work();
    (start.elapsed(), result)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
