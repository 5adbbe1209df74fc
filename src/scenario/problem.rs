//! What is wrong with a scenario: places, sentences, and their rendering in the style of rustc.
//!
//! Pure. Knows nothing of what a scenario means; it only points at text.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet,
};

/// Problems that are rendered; the rest is only counted, so that a hostile file cannot fill the terminal.
const MOST_SHOWN: usize = 50;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Bytes of the scenario file.
    File(Range<usize>),
    /// Bytes of an override's `origin`.
    Flag {
        /// Which override.
        index: usize,
        /// Which part of its text.
        part: Range<usize>,
    },
}

/// One problem: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    title: String,
    marks: Vec<(Place, String)>,
    notes: Vec<String>,
    help: Option<String>,
    derived: bool,
}

impl Problem {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            marks: Vec::new(),
            notes: Vec::new(),
            help: None,
            derived: false,
        }
    }

    /// Points at `place`; the first mark is the main one. Without a place, the label becomes a note.
    #[must_use]
    pub(super) fn mark(mut self, place: Option<&Place>, label: impl Into<String>) -> Self {
        match place {
            Some(place) => self.marks.push((place.clone(), label.into())),
            None => self.notes.push(label.into()),
        }
        self
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says that the problem follows from several values or from an absent one, and so may be an echo of broken TOML.
    #[must_use]
    pub(super) fn derived(mut self) -> Self {
        self.derived = true;
        self
    }

    pub(super) fn is_derived(&self) -> bool {
        self.derived
    }

    /// Is it about a value that the parser made up in place of broken TOML? Such a value has no bytes of its own.
    pub(super) fn is_about_nothing(&self) -> bool {
        matches!(self.marks.first(), Some((Place::File(span), _)) if span.is_empty())
    }

    /// File order first, then the flags in their order, then what has no place.
    pub(super) fn order(&self) -> (usize, usize) {
        match self.marks.first() {
            Some((Place::File(span), _)) => (0, span.start),
            Some((Place::Flag { index, .. }, _)) => (1, *index),
            None => (2, 0),
        }
    }

    fn render(&self, source: &Problems, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&*self.title));
        for snippet in source.snippets(&self.marks) {
            group = group.element(snippet);
        }
        if self.marks.is_empty() {
            group = group.element(Origin::path(&*source.path));
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(&**note));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(&**help));
        }
        renderer.render(&[group])
    }
}

/// Everything that is wrong with one scenario; at least one problem. `Display` renders them all without colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    path: String,
    text: String,
    flags: Vec<String>,
    list: Vec<Problem>,
}

impl Problems {
    /// `list` is not empty; it is put into reading order.
    pub(super) fn new(
        path: String,
        text: &str,
        flags: Vec<String>,
        mut list: Vec<Problem>,
    ) -> Self {
        list.sort_by_key(Problem::order);
        Self {
            path,
            text: text.to_owned(),
            flags,
            list,
        }
    }

    /// How many there are; at least 1.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The first line of each, without place: for logs and tests.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|problem| problem.title.as_str())
    }

    /// As `Display`, with colours for a terminal.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut text = String::new();
        for problem in self.list.iter().take(MOST_SHOWN) {
            text.push_str(problem.render(self, renderer).trim_end());
            text.push_str("\n\n");
        }
        if self.count() > MOST_SHOWN {
            text.push_str(&format!("… and {} more\n\n", self.count() - MOST_SHOWN));
        }
        let s = if self.count() == 1 { "" } else { "s" };
        text.push_str(&format!("{} problem{s}; nothing was started", self.count()));
        text
    }

    /// One snippet per text that is marked, the main one first.
    fn snippets<'a>(&'a self, marks: &'a [(Place, String)]) -> Vec<Element<'a>> {
        let mut flags: Vec<Option<usize>> = Vec::new();
        for (place, _) in marks {
            let flag = flag_of(place);
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        flags
            .into_iter()
            .map(|flag| {
                let spans = marks
                    .iter()
                    .enumerate()
                    .filter(|(_, (place, _))| flag_of(place) == flag);
                let spans: Vec<(bool, Range<usize>, &str)> = spans
                    .map(|(i, (place, label))| (i == 0, span_of(place), label.as_str()))
                    .collect();
                match flag {
                    None => file_snippet(&self.text, &self.path, &spans).into(),
                    Some(index) => {
                        flag_snippet(self.flags.get(index).map_or("", |f| f), &spans).into()
                    }
                }
            })
            .collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Problems {}

fn flag_of(place: &Place) -> Option<usize> {
    match place {
        Place::File(_) => None,
        Place::Flag { index, .. } => Some(*index),
    }
}

fn span_of(place: &Place) -> Range<usize> {
    match place {
        Place::File(span) | Place::Flag { part: span, .. } => span.clone(),
    }
}

fn annotation<'a>(is_main: bool, span: Range<usize>, label: &'a str) -> Annotation<'a> {
    let kind = if is_main {
        AnnotationKind::Primary
    } else {
        AnnotationKind::Context
    };
    kind.span(span).label(label)
}

/// Only the lines from the first to the last mark are handed on: rendering is then independent of the file's length.
fn file_snippet<'a>(
    text: &'a str,
    path: &'a str,
    spans: &[(bool, Range<usize>, &'a str)],
) -> Snippet<'a, Annotation<'a>> {
    let clamped: Vec<_> = spans
        .iter()
        .map(|(main, span, label)| (*main, clamp(text, span), *label))
        .collect();
    let first = clamped
        .iter()
        .map(|(_, span, _)| span.start)
        .min()
        .unwrap_or(0);
    let last = clamped
        .iter()
        .map(|(_, span, _)| span.end)
        .max()
        .unwrap_or(0);
    let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
    let lines_before = text[..start].bytes().filter(|byte| *byte == b'\n').count();
    Snippet::source(&text[start..end])
        .line_start(lines_before + 1)
        .path(path)
        .annotations(clamped.into_iter().map(|(main, span, label)| {
            annotation(main, span.start - start..span.end - start, label)
        }))
}

fn flag_snippet<'a>(
    flag: &'a str,
    spans: &[(bool, Range<usize>, &'a str)],
) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(flag).line_numbering(false).annotations(
        spans
            .iter()
            .map(|(main, span, label)| annotation(*main, clamp(flag, span), label)),
    )
}

/// Spans come from a parser and from string searches; one that is off would otherwise panic in the renderer.
/// Ends at the end of the line, since only single lines are marked.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let line_end = text[start..]
        .find(['\n', '\r'])
        .map_or(text.len(), |at| start + at);
    let end = text.ceil_char_boundary(span.end.min(line_end)).max(start);
    start..end
}
