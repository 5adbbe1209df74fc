//! TOML text as a tree in which every key and value knows where it was written.
//!
//! Pure. Knows TOML, knows no key of a scenario.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// Largest file: a scenario is written by hand, and every later step may then be quadratic in a line.
const MOST_BYTES: usize = 1 << 20;
/// Most parts of a dotted key. Deeper nesting would overflow the stack in the TOML parser's own tree.
const MOST_KEY_PARTS: usize = 64;

/// Syntax problems that are looked at; a file with more is no scenario.
const MOST_SYNTAX_PROBLEMS: usize = 200;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) place: Place,
    /// The text of an override's value, which is taken literally where a string is wanted.
    pub(super) literal: Option<String>,
}

/// TOML's values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    /// `None`: does not fit.
    Integer(Option<i128>),
    /// As written: whether `1.1` was meant as a number or a version is the reader's to say.
    Float(String),
    Boolean(bool),
    Datetime,
    Array(Vec<Item>),
    Table(Table),
}

/// A table, in the order of the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) item: Item,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }
}

impl Value {
    /// What it is, with its article.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads `text`. With problems, the table holds what could be read all the same.
pub(super) fn parse(text: &str) -> (Table, Vec<Problem>) {
    if text.len() > MOST_BYTES {
        let problem =
            Problem::new("the scenario file is larger than 1 MiB").help("is this the right file?");
        return (Table::default(), vec![problem]);
    }
    if let Some(span) = deep_key(text) {
        let problem = Problem::new(format!("a key has more than {MOST_KEY_PARTS} parts"))
            .mark(Some(&Place::File(span)), "nested too deeply");
        return (Table::default(), vec![problem]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    // One broken line gives one problem: what the parser says next is mostly about its own recovery.
    let mut lines_seen = Vec::new();
    let problems = errors
        .iter()
        .filter(|error| {
            if lines_seen.len() >= MOST_SYNTAX_PROBLEMS {
                return false;
            }
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text.as_bytes()[..start]
                .iter()
                .rposition(|byte| *byte == b'\n');
            let is_new = !lines_seen.contains(&line);
            if is_new {
                lines_seen.push(line);
            }
            is_new
        })
        .map(|error| syntax_problem(text, error))
        .collect();
    (convert_table(table.into_inner(), &Place::File), problems)
}

/// Reads one value of an override; text that is no TOML value is a string.
pub(super) fn parse_value(text: &str, place: &Place) -> Item {
    let parsed = if text.len() > MOST_BYTES || deep_key(text).is_some() {
        None
    } else {
        DeValue::parse(text).ok()
    };
    let mut item = match parsed {
        Some(value) => convert(value, &|_| place.clone()),
        None => Item {
            value: Value::String(text.to_owned()),
            place: place.clone(),
            literal: None,
        },
    };
    item.literal = Some(text.to_owned());
    item
}

fn convert(value: Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Place) -> Item {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| convert(item, place)).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, place)),
    };
    Item {
        value,
        place: place(span),
        literal: None,
    }
}

fn convert_table(table: DeTable<'_>, place: &dyn Fn(Range<usize>) -> Place) -> Table {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            let entry = Entry {
                key_place: place(span.clone()),
                key: key.into_inner().into_owned(),
                item: convert(value, place),
            };
            (span.start, entry)
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    Table {
        entries: entries.into_iter().map(|(_, entry)| entry).collect(),
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let problem = Problem::new("this is not valid TOML").mark(
        Some(&Place::File(span.clone())),
        error.message().trim_end_matches(", expected nothing"),
    );
    match quoted_value(text, &span) {
        Some(value) => problem.help(format!("values with a unit are strings: write \"{value}\"")),
        None => problem,
    }
}

/// The right-hand side of the line in question, when it is a quantity that only lacks its quotes.
fn quoted_value<'t>(text: &'t str, span: &Range<usize>) -> Option<&'t str> {
    let before = text.get(..span.start)?;
    let rest = text.get(before.rfind('\n').map_or(0, |at| at + 1)..)?;
    let line = rest.lines().next()?;
    let (key, value) = line.split_once('=')?;
    let is_value = span.start > text.len() - rest.len() + key.len();
    let value = value.split('#').next()?.trim();
    let is_quantity = is_value
        && value.starts_with(|c: char| c.is_ascii_digit())
        && (crate::units::parse_duration(value).is_ok()
            || crate::units::parse_rate(value).is_ok()
            || crate::units::parse_size(value).is_ok()
            || crate::units::parse_count(value).is_ok());
    is_quantity.then_some(value)
}

/// A dotted key that is too deep. Looks at characters only and so may be wrong about odd strings; the bound is far
/// beyond any key of a scenario.
fn deep_key(text: &str) -> Option<Range<usize>> {
    let (mut parts, mut start, mut last) = (0, 0, '.');
    for (at, c) in text.char_indices() {
        match c {
            '=' | ',' | '{' | '[' | '#' | '\n' => (parts, start) = (0, at + c.len_utf8()),
            '.' if last != '.' => parts += 1,
            _ => {}
        }
        if !c.is_whitespace() {
            last = c;
        }
        if parts > MOST_KEY_PARTS {
            return Some(start..at);
        }
    }
    None
}
