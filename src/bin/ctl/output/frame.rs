//! One frame of a live display: header, replicas, progress bar and traffic. Pure.
//!
//! Invariant: a frame fits the terminal, because a frame that wraps or scrolls cannot be redrawn.

use console::{measure_text_width, truncate_str};
use coxswain::api::types::{OperationProgress, ReplicaPhaseName, ReplicaProgress, ReplicaState};
use coxswain::model::Millis;
use jiff::Timestamp;

use super::age::seconds;
use super::phase_text::{of_progress, short};
use super::progress::{blocked, count};
use super::replacement_history::{ReplacementHistory, replaces};
use super::style::{Paint, Style};
use super::traffic::TrafficFigures;

/// Replica rows in one frame; more would hide the ones that change. The rest is counted.
const REPLICAS_MAX: usize = 12;
/// Lines that are not replica rows: header, blank lines, footer, hint, the shell's prompt.
const OTHER_LINES: usize = 9;
const BAR_WIDTH: u32 = 12;
const GAP: &str = "   ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TermSize {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ProgressView<'a> {
    pub(crate) header: &'a str,
    pub(crate) current: &'a OperationProgress,
    pub(crate) replacements: &'a ReplacementHistory,
    pub(crate) traffic: Option<&'a TrafficFigures>,
    /// `healthyFor` of the target release.
    pub(crate) healthy_for: Option<Millis>,
    /// Seconds.
    pub(crate) elapsed: u64,
    pub(crate) now: Timestamp,
}

struct ReplicaRow<'a> {
    mark: char,
    name: &'a str,
    state: String,
    details: Vec<String>,
}

/// The frame of one service: header, replicas, footer.
pub(crate) fn frame(view: &ProgressView<'_>, size: TermSize, style: Style) -> String {
    let mut lines = vec![view.header.to_owned()];
    let (rows, older) = rows(view);
    if !rows.is_empty() || older > 0 {
        lines.push(String::new());
    }
    let max = size.rows.saturating_sub(OTHER_LINES).clamp(1, REPLICAS_MAX);
    let hidden = rows.len().saturating_sub(max);
    let names = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let states = rows.iter().map(|row| measure_text_width(&row.state)).max().unwrap_or(0);
    for row in in_view(&rows, max) {
        let mark = style.paint(paint(row.mark), &row.mark.to_string());
        let ReplicaRow { name, state, details, .. } = row;
        let line = format!("  {mark} {name:<names$}{GAP}{state:<states$}{GAP}{}", details.join(GAP));
        lines.push(line.trim_end().to_owned());
    }
    if hidden > 0 {
        lines.push(format!("    … and {hidden} more"));
    }
    if older > 0 {
        let revision = view.current.from.map(|from| format!(" of revision {from}")).unwrap_or_default();
        lines.push(format!("    {older}{revision} still to replace"));
    }
    lines.extend(view.current.held_by.iter().map(blocked));
    lines.push(String::new());
    lines.extend(fitted(&footer(view), size));
    cut(&lines.join("\n"), size, style)
}

/// Lays out parts on as many lines as they need.
pub(crate) fn fitted(parts: &[String], size: TermSize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let fits = |line: &&mut String| {
            measure_text_width(line) + GAP.len() + measure_text_width(part) <= size.columns
        };
        match lines.last_mut().filter(fits) {
            Some(line) => *line += &format!("{GAP}{part}"),
            None => lines.push(format!("  {part}")),
        }
    }
    lines
}

/// Spells marks for the terminal and cuts each line to its width.
pub(crate) fn cut(text: &str, size: TermSize, style: Style) -> String {
    let tail = style.spell("…");
    let lines: Vec<String> = style
        .spell(text)
        .lines()
        .map(|line| truncate_str(&line.replace('\t', " "), size.columns, &tail).into_owned())
        .collect();
    lines.join("\n")
}

/// A table as a frame: cut to the terminal, with hidden rows counted.
pub(crate) fn table(text: &str, size: TermSize, style: Style) -> String {
    let lines: Vec<&str> = text.lines().collect();
    // One line for the count and one for the shell's prompt.
    let max = size.rows.saturating_sub(2).max(1);
    if lines.len() <= max + 1 {
        return cut(text, size, style);
    }
    let more = format!("… and {} more", lines.len() - max);
    cut(&format!("{}\n{more}", lines[..max].join("\n")), size, style)
}

/// A row per replica, without old ones that only wait to be replaced; those are counted.
fn rows<'a>(view: &ProgressView<'a>) -> (Vec<ReplicaRow<'a>>, usize) {
    let current = view.current;
    let mut rows = Vec::new();
    let mut older = 0;
    for replica in &current.replicas {
        let is_old = view.replacements.rolls() && replica.revision != current.target;
        if is_old && replica.runs && replica.available {
            older += 1;
        } else if !(is_old && view.replacements.has_successor(&replica.name)) {
            rows.push(row(view, replica));
        }
    }
    (rows, older)
}

fn row<'a>(view: &ProgressView<'_>, replica: &'a ReplicaProgress) -> ReplicaRow<'a> {
    let text = of_progress(replica);
    let status = replica.status.as_ref();
    let since = |status: &ReplicaState| seconds((view.now.as_second() - status.since.as_second()).max(0));
    let (state, detail) = match status.map(|status| (status.phase, status)) {
        Some((ReplicaPhaseName::Ready, status)) if text.mark == '✓' => {
            let after = status.ready_after.map(|after| format!(" {}", short(after)));
            (format!("ready{}", after.unwrap_or_default()), String::new())
        }
        Some((ReplicaPhaseName::Starting, status)) => (format!("starting {}", since(status)), text.detail),
        Some((ReplicaPhaseName::BackOff, ReplicaState { retry_at: Some(retry_at), .. })) => {
            let next = seconds(retry_at.as_second() - view.now.as_second());
            (text.word.to_owned(), format!("{}, next in {next}", text.detail))
        }
        Some((ReplicaPhaseName::Draining | ReplicaPhaseName::Ready, _))
            if !replica.runs && replica.in_flight > 0 =>
        {
            (text.word.to_owned(), format!("{} requests in flight", replica.in_flight))
        }
        _ => (text.word.to_owned(), text.detail),
    };
    let serves = replica.available && replica.counters.is_some_and(|counters| counters.requests > 0);
    let serves = (serves && view.replacements.rolls()).then(|| "serving".to_owned());
    let details =
        [Some(detail), serves, proving(view, replica), view.replacements.replaced_by(&replica.name)];
    let details = details.into_iter().flatten().filter(|detail| !detail.is_empty()).collect();
    ReplicaRow { mark: text.mark, name: replica.name.as_str(), state, details }
}

/// How long a new replica has been healthy, while the rollout waits for `healthyFor`.
fn proving(view: &ProgressView<'_>, replica: &ReplicaProgress) -> Option<String> {
    let current = view.current;
    let serves = replica.runs && replica.available && replica.revision == current.target;
    let status = replica.status.as_ref().filter(|status| serves && status.is_ready())?;
    if !replaces(current) {
        return None;
    }
    let wanted = i64::try_from(view.healthy_for?.0 / 1000).ok()?;
    let served = view.now.as_second() - status.since.as_second();
    (served < wanted).then(|| format!("healthy for {} of {}", seconds(served.max(0)), seconds(wanted)))
}

/// At most `max` rows in their order; those that change or need attention have priority.
fn in_view<'a, 'b>(rows: &'b [ReplicaRow<'a>], max: usize) -> Vec<&'b ReplicaRow<'a>> {
    let settled = |at: &usize| matches!(rows[*at].mark, '✓' | ' ');
    let mut shown: Vec<usize> = (0..rows.len()).collect();
    if rows.len() > max {
        shown.sort_by_key(settled);
        shown.truncate(max);
        shown.sort_unstable();
    }
    shown.into_iter().map(|at| &rows[at]).collect()
}

fn paint(mark: char) -> Paint {
    match mark {
        '✓' => Paint::Good,
        '!' => Paint::Attention,
        _ => Paint::Faint,
    }
}

/// Progress and traffic.
fn footer(view: &ProgressView<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    // A service that is deleted or scaled to 0 has no progress to show.
    if view.current.wanted > 0 {
        parts.push(format!("{} {}", bar(view.current), count(view.current)));
    }
    if let Some(TrafficFigures { per_second, errors, p99 }) = view.traffic {
        parts.push(format!("requests {per_second}/s"));
        parts.push(format!("errors {errors}"));
        parts.push(format!("p99 {}", p99.map_or_else(|| "-".to_owned(), latency)));
    }
    parts.push(format!("elapsed {}", seconds(i64::try_from(view.elapsed).unwrap_or(i64::MAX))));
    parts
}

/// `0.8ms`, `41ms`, `2.5s`.
fn latency(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{}ms", micros / 1000, micros % 1000 / 100),
        10_000..1_000_000 => format!("{}ms", micros / 1000),
        _ => format!("{}.{}s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

fn bar(progress: &OperationProgress) -> String {
    let full = (progress.available.min(progress.wanted) * BAR_WIDTH).checked_div(progress.wanted);
    let full = full.unwrap_or(BAR_WIDTH);
    (0..BAR_WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect()
}

/// What Ctrl-C and `ctl abort` do, for the services in progress.
pub(crate) fn hint(waited: &[&OperationProgress], size: TermSize, style: Style) -> String {
    let parts = match waited {
        [one] if replaces(one) => vec![
            "Ctrl-C detaches (the rollout continues).".to_owned(),
            format!("ctl abort {}{GAP}stops it.", one.service),
        ],
        _ => vec!["Ctrl-C detaches (the operation continues).".to_owned()],
    };
    cut(&fitted(&parts, size).join("\n"), size, style)
}

#[cfg(test)]
mod tests {
    use coxswain::api::types::ReplicaCounters;
    use coxswain::model::{NotReadyCause, ReplicaPhase, RevisionNumber, RolloutDirection};

    use super::super::phase_text::tests::snapshot;
    use super::*;

    const PLAIN: Style = Style { colour: false, unicode: true };

    fn shown(view: &ProgressView<'_>, columns: usize, rows: usize, style: Style) -> String {
        let size = TermSize { columns, rows };
        let text = frame(view, size, style) + "\n" + &hint(&[view.current], size, style);
        assert!(text.lines().all(|line| measure_text_width(line) <= columns), "{text}");
        assert!(text.lines().count() < rows, "{text}");
        text
    }

    fn view<'a>(
        current: &'a OperationProgress,
        history: &'a ReplacementHistory,
        traffic: Option<&'a TrafficFigures>,
    ) -> ProgressView<'a> {
        let now = Timestamp::from_second(4).expect("a time");
        ProgressView {
            header: "users",
            current,
            replacements: history,
            traffic,
            healthy_for: None,
            elapsed: 24,
            now,
        }
    }

    /// One replica is replaced, the next one is starting, a third waits, two old ones serve.
    fn rolling() -> (OperationProgress, ReplacementHistory) {
        let cause = NotReadyCause::unhealthy("GET /healthz → 503 \"warming cache\"");
        let starting = ReplicaPhase::Starting { cause: Some(cause) };
        let ready = || ReplicaPhase::Ready;
        let phases = [
            ("users-8-a", ready()),
            ("users-8-b", ready()),
            ("users-8-c", ready()),
            ("users-9-a", ready()),
            ("users-9-b", starting),
            ("users-9-c", ReplicaPhase::Waiting { cause: None }),
        ];
        let mut progress = snapshot(1, &phases);
        progress.wanted = 3;
        progress.from = Some(RevisionNumber(1));
        progress.replicas[..3].iter_mut().for_each(|old| old.revision = RevisionNumber(1));
        progress.replicas[0].runs = false;
        progress.replicas[0].drained = 41;
        progress.replicas[3].counters = Some(ReplicaCounters { requests: 9, ..ReplicaCounters::default() });
        let mut history = ReplacementHistory::default();
        history.take(&progress);
        (progress, history)
    }

    #[test]
    fn frame_of_a_rolling_update_fits_80_and_60_columns() {
        let (progress, history) = rolling();
        let traffic = TrafficFigures { per_second: 312, errors: 0, p99: Some(41_300) };
        let view = view(&progress, &history, Some(&traffic));
        insta::assert_snapshot!(shown(&view, 80, 24, PLAIN), @r#"
        users

          ✓ users-9-a   ready 0.9s    serving   users-8-a drained 41 requests
          ▸ users-9-b   starting 4s   GET /healthz → 503 "warming cache"
            users-9-c   waiting
            2 of revision 1 still to replace

          ████░░░░░░░░ 1/3   requests 312/s   errors 0   p99 41ms   elapsed 24s
          Ctrl-C detaches (the rollout continues).   ctl abort users   stops it.
        "#);
        insta::assert_snapshot!(shown(&view, 60, 24, Style { unicode: false, ..PLAIN }), @r#"
        users

          ok users-9-a   ready 0.9s    serving   users-8-a draine...
          > users-9-b   starting 4s   GET /healthz -> 503 "warmin...
            users-9-c   waiting
            2 of revision 1 still to replace

          ####........ 1/3   requests 312/s   errors 0   p99 41ms
          elapsed 24s
          Ctrl-C detaches (the rollout continues).
          ctl abort users   stops it.
        "#);
    }

    #[test]
    fn frame_ignores_colours_in_widths() {
        let (progress, history) = rolling();
        let coloured = shown(&view(&progress, &history, None), 60, 24, Style { colour: true, ..PLAIN });
        let sanitize = shown(&view(&progress, &history, None), 60, 24, PLAIN);
        assert_eq!(console::strip_ansi_codes(&coloured), sanitize);
    }

    #[test]
    fn frame_prefers_changing_rows_and_counts_the_rest() {
        let names: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let phase = |n: usize| if n == 17 { ReplicaPhase::Pulling } else { ReplicaPhase::Ready };
        let many: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), phase(n))).collect();
        let (progress, history) = (snapshot(19, &many), ReplacementHistory::default());
        let view = view(&progress, &history, None);
        for (rows, expected) in [(24, "… and 8 more"), (14, "… and 15 more"), (12, "… and 17 more")] {
            let text = shown(&view, 80, rows, PLAIN);
            assert!(text.contains(expected) && text.contains("▸ r17"), "{text}");
        }
    }

    #[test]
    fn proving_shows_healthy_time_of_new_replicas_only() {
        let mut some = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        some.replicas[0].revision = RevisionNumber(1);
        let history = ReplacementHistory::default();
        let shown_for = |progress: &OperationProgress, replica: usize, second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            let view =
                ProgressView { healthy_for: Some(Millis::secs(10)), now, ..view(progress, &history, None) };
            proving(&view, &progress.replicas[replica])
        };
        assert_eq!(shown_for(&some, 1, 3), None, "nothing is replaced");
        let rolls = OperationProgress { from: Some(RevisionNumber(1)), ..some.clone() };
        assert_eq!(shown_for(&rolls, 0, 3), None, "it is old");
        assert_eq!(shown_for(&rolls, 1, 3).as_deref(), Some("healthy for 3s of 10s"));
        assert_eq!(shown_for(&rolls, 1, 10), None, "healthyFor has passed");
        let direction = RolloutDirection::Rollback;
        let back = OperationProgress { from: Some(RevisionNumber(3)), direction, ..some };
        assert_eq!(shown_for(&back, 1, 3), None, "a revision that ran before needs no proof");
    }

    #[test]
    fn latency_has_few_digits() {
        for (micros, expected) in [(850, "0.8ms"), (41_300, "41ms"), (2_560_000, "2.5s")] {
            assert_eq!(latency(micros), expected);
        }
    }
}
