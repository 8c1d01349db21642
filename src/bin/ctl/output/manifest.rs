//! Problems in manifests with the lines that cause them. Pure.

use std::fmt;

use coxswain::manifest::{Finding, ManifestSource, SourcePlace};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan,
};

use super::style::Style;

/// Columns of a report; narrower terminals wrap.
const WIDTH: usize = 110;
/// Longer lines are not shown: they would push the message off the screen.
const LINE_MAX_BYTES: usize = 500;

pub(crate) fn reports(findings: &[Finding], sources: &[ManifestSource], style: Style) -> Vec<String> {
    findings.iter().map(|finding| report(finding, sources, style)).collect()
}

fn report(finding: &Finding, sources: &[ManifestSource], style: Style) -> String {
    let shown = RenderedFinding { finding, source: source(&finding.place, sources) };
    if shown.source.is_none() {
        return format!("error: {finding}");
    }
    let mut theme = if style.unicode { GraphicalTheme::unicode_nocolor() } else { GraphicalTheme::ascii() };
    if style.unicode && style.colour {
        theme = GraphicalTheme::unicode();
    } else if !style.colour {
        theme.styles = miette::ThemeStyles::none();
    }
    let handler =
        GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_context_lines(1).with_links(false);
    let mut text = String::new();
    match handler.render_report(&mut text, &shown) {
        Ok(()) => text,
        Err(_) => format!("error: {finding}"),
    }
}

/// The source text of a place, if it can be shown.
fn source(place: &SourcePlace, sources: &[ManifestSource]) -> Option<NamedSource<String>> {
    let text = std::str::from_utf8(&sources.get(place.source)?.bytes).ok()?;
    let start = text.get(..place.span.offset)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next().unwrap_or_default();
    (line.len() <= LINE_MAX_BYTES).then(|| NamedSource::new(&place.file, text.to_owned()))
}

/// Adapts a finding to miette.
#[derive(Debug)]
struct RenderedFinding<'a> {
    finding: &'a Finding,
    source: Option<NamedSource<String>>,
}

impl fmt::Display for RenderedFinding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = &self.finding.problem;
        if !problem.path.is_empty() {
            write!(f, "{}: ", problem.path)?;
        }
        f.write_str(&problem.message)?;
        if let Some((place, label)) = &self.finding.related {
            write!(f, " ({label} {place})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RenderedFinding<'_> {}

impl Diagnostic for RenderedFinding<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let suggestion = self.finding.problem.suggestion.as_ref()?;
        Some(Box::new(format!("write `{suggestion}`")))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.place.span;
        let span = SourceSpan::new(span.offset.into(), span.len);
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, span))))
    }
}
