//! An operation on a service as a picture that redraws: what it is about, its replicas, how far it is. PURE.
//!
//! Invariant: no line is wider than the terminal, and no more lines than it shows: a picture that wraps or scrolls cannot
//! be drawn over.

use console::{measure_text_width, truncate_str};
use coxswain::api::types::{OperationProgress, ReplicaProgress};
use coxswain::model::{Millis, ReplicaPhase, ReplicaStatus};
use jiff::Timestamp;

use super::age::seconds;
use super::progress::{count, hold, of, short};
use super::story::{Story, replaces};
use super::style::{Paint, Style};
use super::traffic::Traffic;

/// Rows of replicas in one picture; with more nobody sees which one moves. The rest is counted.
const REPLICAS_MAX: usize = 12;
/// Lines of a picture that are not rows of replicas: header, blank lines, foot, hint, the shell's prompt.
const OTHER_LINES: usize = 9;
/// Cells of the bar.
const BAR_WIDTH: u32 = 12;
/// Between two parts of a line.
const GAP: &str = "   ";

/// What the terminal has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) header: &'a str,
    pub(crate) current: &'a OperationProgress,
    pub(crate) story: &'a Story,
    pub(crate) traffic: Option<&'a Traffic>,
    /// What the release that is rolled to asks for.
    pub(crate) healthy_for: Option<Millis>,
    /// Seconds.
    pub(crate) elapsed: u64,
    pub(crate) now: Timestamp,
}

struct Row<'a> {
    mark: char,
    name: &'a str,
    state: String,
    details: Vec<String>,
}

/// The picture of one service: header, replicas, foot.
pub(crate) fn picture(scene: &Scene<'_>, room: Room, style: Style) -> String {
    let mut lines = vec![scene.header.to_owned()];
    let (rows, older) = rows(scene);
    if !rows.is_empty() || older > 0 {
        lines.push(String::new());
    }
    let max = room.rows.saturating_sub(OTHER_LINES).clamp(1, REPLICAS_MAX);
    let hidden = rows.len().saturating_sub(max);
    let width = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (names, states) = (width(|row| row.name.len()), width(|row| measure_text_width(&row.state)));
    for row in in_view(&rows, max) {
        let mark = style.paint(paint(row.mark), &row.mark.to_string());
        let Row { name, state, details, .. } = row;
        let line = format!("  {mark} {name:<names$}{GAP}{state:<states$}{GAP}{}", details.join(GAP));
        lines.push(line.trim_end().to_owned());
    }
    if hidden > 0 {
        lines.push(format!("    … and {hidden} more"));
    }
    if older > 0 {
        let revision = scene.current.from.map(|from| format!(" of revision {from}")).unwrap_or_default();
        lines.push(format!("    {older}{revision} until replaced"));
    }
    lines.extend(scene.current.held_by.iter().map(hold));
    lines.push(String::new());
    lines.extend(fitted(&foot(scene), room));
    cut(&lines.join("\n"), room, style)
}

/// Parts of a line, on as many lines as they need.
pub(crate) fn fitted(parts: &[String], room: Room) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let fits = |line: &&mut String| {
            measure_text_width(line) + GAP.len() + measure_text_width(part) <= room.columns
        };
        match lines.last_mut().filter(fits) {
            Some(line) => *line += &format!("{GAP}{part}"),
            None => lines.push(format!("  {part}")),
        }
    }
    lines
}

/// Our marks as the terminal shows them, and no line longer than it is wide.
pub(crate) fn cut(text: &str, room: Room, style: Style) -> String {
    let tail = style.spell("…");
    let lines: Vec<String> = style
        .spell(text)
        .lines()
        .map(|line| truncate_str(&line.replace('\t', " "), room.columns, &tail).into_owned())
        .collect();
    lines.join("\n")
}

/// A table as a picture: cut to the terminal, with the rows that it has no room for counted.
pub(crate) fn table(text: &str, room: Room, style: Style) -> String {
    let lines: Vec<&str> = text.lines().collect();
    // A line for the count, one for the shell's prompt.
    let max = room.rows.saturating_sub(2).max(1);
    if lines.len() <= max + 1 {
        return cut(text, room, style);
    }
    let more = format!("… and {} more", lines.len() - max);
    cut(&format!("{}\n{more}", lines[..max].join("\n")), room, style)
}

/// A row for each replica that is told of by itself, and how many older ones serve until they are replaced.
fn rows<'a>(scene: &Scene<'a>) -> (Vec<Row<'a>>, usize) {
    let current = scene.current;
    let (mut rows, mut older) = (Vec::new(), 0);
    for replica in &current.replicas {
        let is_old = scene.story.rolls() && replica.revision != current.target;
        match () {
            () if is_old && replica.runs && replica.available => older += 1,
            () if is_old && scene.story.has_successor(&replica.name) => {}
            () => rows.push(row(scene, replica)),
        }
    }
    (rows, older)
}

fn row<'a>(scene: &Scene<'_>, replica: &'a ReplicaProgress) -> Row<'a> {
    let text = of(replica);
    let status = replica.status.as_ref();
    let since = |status: &ReplicaStatus| seconds((scene.now.as_second() - status.since.as_second()).max(0));
    let (state, detail) = match status.map(|status| (&status.phase, status)) {
        Some((ReplicaPhase::Ready, status)) if text.mark == '✓' => {
            let after = status.ready_after.map(|after| format!(" {}", short(after)));
            (format!("ready{}", after.unwrap_or_default()), String::new())
        }
        Some((ReplicaPhase::Starting { .. }, status)) => (format!("starting {}", since(status)), text.detail),
        Some((ReplicaPhase::BackOff { retry_at, .. }, _)) => {
            let next = seconds(retry_at.as_second() - scene.now.as_second());
            (text.word.to_owned(), format!("{}, next in {next}", text.detail))
        }
        Some((ReplicaPhase::Draining | ReplicaPhase::Ready, _)) if !replica.runs && replica.in_flight > 0 => {
            (text.word.to_owned(), format!("{} requests in flight", replica.in_flight))
        }
        _ => (text.word.to_owned(), text.detail),
    };
    let took = replica.available && replica.counters.is_some_and(|counters| counters.requests > 0);
    let took = (took && scene.story.rolls()).then(|| "took traffic".to_owned());
    let details = [Some(detail), took, proving(scene, replica), scene.story.replaced_by(&replica.name)];
    let details = details.into_iter().flatten().filter(|detail| !detail.is_empty()).collect();
    Row { mark: text.mark, name: replica.name.as_str(), state, details }
}

/// What a rollout waits for with a new replica that serves: that it stays healthy.
fn proving(scene: &Scene<'_>, replica: &ReplicaProgress) -> Option<String> {
    let current = scene.current;
    let serves = replica.runs && replica.available && replica.revision == current.target;
    let status = replica.status.as_ref().filter(|status| serves && status.is_ready())?;
    if !replaces(current) {
        return None;
    }
    let wanted = i64::try_from(scene.healthy_for?.0 / 1000).ok()?;
    let served = scene.now.as_second() - status.since.as_second();
    (served < wanted).then(|| format!("healthy for {} of {}", seconds(served.max(0)), seconds(wanted)))
}

/// Those under way or in trouble first where there are too many, in the order they came.
fn in_view<'a, 'b>(rows: &'b [Row<'a>], max: usize) -> Vec<&'b Row<'a>> {
    let calm = |at: &usize| matches!(rows[*at].mark, '✓' | ' ');
    let mut shown: Vec<usize> = (0..rows.len()).collect();
    if rows.len() > max {
        shown.sort_by_key(calm);
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

/// How far it is, and what its clients see.
fn foot(scene: &Scene<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    // Nothing is wanted of what is deleted or scaled to none: there is no part of it to show.
    if scene.current.wanted > 0 {
        parts.push(format!("{} {}", bar(scene.current), count(scene.current)));
    }
    if let Some(Traffic { per_second, errors, p99 }) = scene.traffic {
        parts.push(format!("requests {per_second}/s"));
        parts.push(format!("errors {errors}"));
        parts.push(format!("p99 {}", p99.map_or_else(|| "-".to_owned(), latency)));
    }
    parts.push(format!("elapsed {}", seconds(i64::try_from(scene.elapsed).unwrap_or(i64::MAX))));
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

/// What the keys and other commands do meanwhile, for the services that are waited for.
pub(crate) fn hint(waited: &[&OperationProgress], room: Room, style: Style) -> String {
    let parts = match waited {
        [one] if replaces(one) => vec![
            "Ctrl-C detaches (the rollout continues).".to_owned(),
            format!("ctl abort {}{GAP}stops it.", one.service),
        ],
        _ => vec!["Ctrl-C detaches (the operation continues).".to_owned()],
    };
    cut(&fitted(&parts, room).join("\n"), room, style)
}

#[cfg(test)]
mod tests {
    use coxswain::model::{EndpointStats, RevisionNumber, WaitReason};

    use super::super::progress::tests::snapshot;
    use super::*;

    const PLAIN: Style = Style { colour: false, unicode: true };

    fn shown(scene: &Scene<'_>, columns: usize, rows: usize, style: Style) -> String {
        let room = Room { columns, rows };
        let text = picture(scene, room, style) + "\n" + &hint(&[scene.current], room, style);
        assert!(text.lines().all(|line| measure_text_width(line) <= columns), "{text}");
        assert!(text.lines().count() < rows, "{text}");
        text
    }

    fn scene<'a>(
        current: &'a OperationProgress,
        story: &'a Story,
        traffic: Option<&'a Traffic>,
    ) -> Scene<'a> {
        let now = Timestamp::from_second(4).expect("a time");
        Scene { header: "users", current, story, traffic, healthy_for: None, elapsed: 24, now }
    }

    /// One replica has taken the place of another, the next one starts, a third waits, two old ones serve.
    fn rolling() -> (OperationProgress, Story) {
        let reason =
            WaitReason::HealthCheckFailing { message: "GET /healthz → 503 \"warming cache\"".to_owned() };
        let starting = ReplicaPhase::Starting { reason: Some(reason) };
        let ready = || ReplicaPhase::Ready;
        let phases = [
            ("users-8-a", ready()),
            ("users-8-b", ready()),
            ("users-8-c", ready()),
            ("users-9-a", ready()),
            ("users-9-b", starting),
            ("users-9-c", ReplicaPhase::Waiting { reason: None }),
        ];
        let mut progress = snapshot(1, &phases);
        (progress.wanted, progress.from) = (3, Some(RevisionNumber(1)));
        progress.replicas[..3].iter_mut().for_each(|old| old.revision = RevisionNumber(1));
        progress.replicas[0].runs = false;
        progress.replicas[0].drained = 41;
        progress.replicas[3].counters = Some(EndpointStats { requests: 9, ..EndpointStats::default() });
        let mut story = Story::default();
        story.take(&progress);
        (progress, story)
    }

    #[test]
    fn a_rolling_update_at_80_and_60_columns() {
        let (progress, story) = rolling();
        let traffic = Traffic { per_second: 312, errors: 0, p99: Some(41_300) };
        let scene = scene(&progress, &story, Some(&traffic));
        insta::assert_snapshot!(shown(&scene, 80, 24, PLAIN), @r#"
        users

          ✓ users-9-a   ready 0.9s    took traffic   users-8-a drained 41 requests
          ▸ users-9-b   starting 4s   GET /healthz → 503 "warming cache"
            users-9-c   waiting
            2 of revision 1 until replaced

          ████░░░░░░░░ 1/3   requests 312/s   errors 0   p99 41ms   elapsed 24s
          Ctrl-C detaches (the rollout continues).   ctl abort users   stops it.
        "#);
        insta::assert_snapshot!(shown(&scene, 60, 24, Style { unicode: false, ..PLAIN }), @r#"
        users

          ok users-9-a   ready 0.9s    took traffic   users-8-a d...
          > users-9-b   starting 4s   GET /healthz -> 503 "warmin...
            users-9-c   waiting
            2 of revision 1 until replaced

          ####........ 1/3   requests 312/s   errors 0   p99 41ms
          elapsed 24s
          Ctrl-C detaches (the rollout continues).
          ctl abort users   stops it.
        "#);
    }

    #[test]
    fn colours_do_not_count_as_columns() {
        let (progress, story) = rolling();
        let coloured = shown(&scene(&progress, &story, None), 60, 24, Style { colour: true, ..PLAIN });
        let plain = shown(&scene(&progress, &story, None), 60, 24, PLAIN);
        assert_eq!(console::strip_ansi_codes(&coloured), plain);
    }

    #[test]
    fn those_that_move_are_shown_and_the_rest_counted() {
        let names: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let phase = |n: usize| if n == 17 { ReplicaPhase::Pulling } else { ReplicaPhase::Ready };
        let many: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), phase(n))).collect();
        let (progress, story) = (snapshot(19, &many), Story::default());
        let scene = scene(&progress, &story, None);
        for (rows, told) in [(24, "… and 8 more"), (14, "… and 15 more"), (12, "… and 17 more")] {
            let text = shown(&scene, 80, rows, PLAIN);
            assert!(text.contains(told) && text.contains("▸ r17"), "{text}");
        }
    }

    #[test]
    fn what_a_rollout_waits_for_is_told() {
        let mut some = snapshot(1, &[("a", ReplicaPhase::Ready), ("b", ReplicaPhase::Ready)]);
        some.replicas[0].revision = RevisionNumber(1);
        let story = Story::default();
        let told = |progress: &OperationProgress, replica: usize, second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            let scene = Scene { healthy_for: Some(Millis::secs(10)), now, ..scene(progress, &story, None) };
            proving(&scene, &progress.replicas[replica])
        };
        assert_eq!(told(&some, 1, 3), None, "nothing is replaced");
        let rolls = OperationProgress { from: Some(RevisionNumber(1)), ..some.clone() };
        assert_eq!(told(&rolls, 0, 3), None, "it is old");
        assert_eq!(told(&rolls, 1, 3).as_deref(), Some("healthy for 3s of 10s"));
        assert_eq!(told(&rolls, 1, 10), None, "it has proved itself");
        let back = OperationProgress { from: Some(RevisionNumber(3)), ..some };
        assert_eq!(told(&back, 1, 3), None, "what ran before needs no proof");
    }

    #[test]
    fn latencies_are_told_in_few_digits() {
        for (micros, told) in [(850, "0.8ms"), (41_300, "41ms"), (2_560_000, "2.5s")] {
            assert_eq!(latency(micros), told);
        }
    }
}
