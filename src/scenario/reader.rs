//! Takes typed values out of a tree: collects problems, remembers which keys were asked for, and at the end reports
//! the keys that nobody asked for.
//!
//! Pure. Knows no key of a scenario: the sections do.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Given;
use super::kind::Complaint;
use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::tree::{Entry, Item, Table, Value};

/// What reading has brought to light so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    problems: RefCell<Vec<Problem>>,
    given: RefCell<BTreeMap<String, Given>>,
    /// Every key that some section asked for, as (section, key).
    known: RefCell<Vec<(String, String)>>,
    unknown: RefCell<Vec<Unknown>>,
    flags: Vec<String>,
}

#[derive(Debug)]
struct Unknown {
    section: String,
    key: String,
    place: Place,
    allowed: Vec<&'static str>,
}

impl Log {
    pub(super) fn new(flags: Vec<String>) -> Self {
        Self {
            flags,
            ..Self::default()
        }
    }

    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Problems so far.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    fn note_given(&self, key: &str, place: &Place) {
        let given = match place {
            Place::File(_) => Given::File,
            Place::Flag { index, .. } => {
                Given::Override(self.flags.get(*index).cloned().unwrap_or_default())
            }
        };
        self.given.borrow_mut().insert(key.to_owned(), given);
    }

    /// All problems, those about unknown keys included, and what was given.
    pub(super) fn into_parts(self) -> (Vec<Problem>, BTreeMap<String, Given>) {
        let mut problems = self.problems.into_inner();
        let mut known = self.known.into_inner();
        known.sort();
        known.dedup();
        problems.extend(
            self.unknown
                .into_inner()
                .iter()
                .map(|unknown| unknown.problem(&known)),
        );
        (problems, self.given.into_inner())
    }
}

impl Unknown {
    fn problem(&self, known: &[(String, String)]) -> Problem {
        let title = format!(
            "unknown key `{}` in {}",
            shortened(&self.key),
            section_name(&self.section)
        );
        let problem = Problem::new(title);
        if let Some(near) = nearest(&self.key, self.allowed.iter().copied()) {
            return problem
                .mark(Some(&self.place), "no such key")
                .help(format!("did you mean `{near}`?"));
        }
        let elsewhere = known.iter().find(|(_, key)| *key == self.key);
        let help = match elsewhere {
            Some((section, key)) if section.is_empty() => {
                format!("`{key}` is a key of the top level: move it up, before the first `[table]`")
            }
            Some((section, key)) => format!("`{key}` is a key of {}", section_name(section)),
            None => format!(
                "the keys of {} are {}",
                section_name(&self.section),
                self.allowed.join(", ")
            ),
        };
        problem.mark(Some(&self.place), "no such key").help(help)
    }
}

fn section_name(section: &str) -> String {
    match section {
        "" => "the top level".into(),
        "faults" | "phases" => format!("[[{section}]]"),
        other => format!("[{other}]"),
    }
}

/// Text from a file, short enough for a sentence.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '�' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// A value that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Field<T> {
    /// As given, else the default.
    pub(super) value: T,
    /// Where it was given; `None` for a default.
    pub(super) place: Option<Place>,
    /// False when it was given but unusable, or needed and absent: `value` is then a stand-in, and what depends on it
    /// is not worth checking.
    pub(super) is_sound: bool,
    /// Full dotted name.
    pub(super) key: String,
}

impl<T> Field<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Field<U> {
        Field {
            value: f(self.value),
            place: self.place,
            is_sound: self.is_sound,
            key: self.key,
        }
    }

    pub(super) fn is_given(&self) -> bool {
        self.place.is_some()
    }
}

impl<T> Field<Option<T>> {
    /// The default for an absent value.
    pub(super) fn or(self, default: T) -> Field<T> {
        self.map(|value| value.unwrap_or(default))
    }
}

/// Takes the values of one table.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    log: &'a Log,
    table: Option<&'a Table>,
    /// Where the table begins, or what stands in its place; `None` when it is absent or the top level.
    place: Option<Place>,
    /// Which keys are alike: `topology.nginx`, `faults`.
    section: String,
    /// Goes before a key in messages: `topology.nginx.`, `faults.kill-n2.`.
    prefix: String,
    taken: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn top(table: &'a Table, log: &'a Log) -> Self {
        Self {
            log,
            table: Some(table),
            place: None,
            section: String::new(),
            prefix: String::new(),
            taken: Vec::new(),
        }
    }

    pub(super) fn log(&self) -> &'a Log {
        self.log
    }

    /// A table in this one; reads as empty when absent.
    pub(super) fn table(&mut self, key: &'static str) -> Reader<'a> {
        let full = format!("{}{key}", self.prefix);
        let (table, place) = match self.take(key) {
            None => (None, None),
            Some(Entry { item, .. }) => match &item.value {
                Value::Table(table) => (Some(table), Some(item.place.clone())),
                other => {
                    self.log.add(
                        Problem::new(format!("`{full}` must be a table"))
                            .mark(Some(&item.place), format!("this is {}", other.what()))
                            .help(format!("write its keys below a line `[{full}]`")),
                    );
                    (None, Some(item.place.clone()))
                }
            },
        };
        Reader {
            log: self.log,
            table,
            place,
            prefix: format!("{full}."),
            section: full,
            taken: Vec::new(),
        }
    }

    /// The items of a list; empty when absent.
    pub(super) fn list(&mut self, key: &'static str, how: &str) -> &'a [Item] {
        let full = format!("{}{key}", self.prefix);
        match self.take(key) {
            None => &[],
            Some(Entry { item, .. }) => match &item.value {
                Value::Array(items) => {
                    self.log.note_given(&full, &item.place);
                    items
                }
                other => {
                    self.log.add(
                        Problem::new(format!("`{full}` must be a list"))
                            .mark(Some(&item.place), format!("this is {}", other.what()))
                            .help(how),
                    );
                    &[]
                }
            },
        }
    }

    /// A reader for one table of a list; `None`, with a problem, when it is none.
    pub(super) fn element(
        &self,
        section: &'static str,
        name: &str,
        item: &'a Item,
    ) -> Option<Reader<'a>> {
        let Value::Table(table) = &item.value else {
            self.log.add(
                Problem::new(format!("`{section}` must be a list of tables"))
                    .mark(Some(&item.place), format!("this is {}", item.value.what()))
                    .help(format!("write each below a line `[[{section}]]`")),
            );
            return None;
        };
        Some(Reader {
            log: self.log,
            table: Some(table),
            place: Some(item.place.clone()),
            section: section.to_owned(),
            prefix: format!("{section}.{name}."),
            taken: Vec::new(),
        })
    }

    /// A value, when given.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        kind: impl FnOnce(&Item) -> Result<T, Complaint>,
    ) -> Field<Option<T>> {
        let full = format!("{}{key}", self.prefix);
        let Some(Entry { item, .. }) = self.take(key) else {
            return Field {
                value: None,
                place: None,
                is_sound: true,
                key: full,
            };
        };
        self.log.note_given(&full, &item.place);
        let value = kind(item)
            .map_err(|complaint| self.log.add(complaint.problem(&full, &item.place)))
            .ok();
        Field {
            is_sound: value.is_some(),
            value,
            place: Some(item.place.clone()),
            key: full,
        }
    }

    /// A value that has no default. `example` is TOML to imitate; `stand_in` lets reading go on.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        kind: impl FnOnce(&Item) -> Result<T, Complaint>,
        example: &str,
        stand_in: T,
    ) -> Field<T> {
        let mut field = self.get(key, kind);
        // In place of a table stands something else, which has been reported.
        let is_broken = self.table.is_none() && self.place.is_some();
        if !field.is_given() {
            field.is_sound = false;
        }
        if !field.is_given() && !is_broken {
            let help = if self.place.is_none() && !self.section.is_empty() {
                format!(
                    "add it below a line `{}`: {example}",
                    section_name(&self.section)
                )
            } else if self.section.is_empty() {
                format!("add it at the top: {example}")
            } else {
                format!("add {example}")
            };
            let mut problem = Problem::new(format!("`{}` is missing", field.key));
            if self.place.is_some() {
                problem = problem.mark(self.place.as_ref(), "this table needs it");
            }
            self.log.add(problem.help(help).derived());
        }
        field.or(stand_in)
    }

    /// Takes a key of another kind of table, if there: it is not unknown, only out of place here.
    pub(super) fn misplaced(&mut self, key: &'static str) -> Option<Place> {
        let place = self.table?.get(key)?.key_place.clone();
        self.taken.push(key);
        Some(place)
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.taken.push(key);
        self.table?.get(key)
    }
}

/// The keys that nobody took are unknown. They are judged at the very end, when all keys of all sections are known.
impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut known = self.log.known.borrow_mut();
        known.extend(
            self.taken
                .iter()
                .map(|key| (self.section.clone(), (*key).to_owned())),
        );
        let entries = self.table.map_or(&[][..], |table| &table.entries);
        let unknown = entries
            .iter()
            .filter(|entry| !self.taken.contains(&entry.key.as_str()));
        self.log
            .unknown
            .borrow_mut()
            .extend(unknown.map(|entry| Unknown {
                section: self.section.clone(),
                key: entry.key.clone(),
                place: entry.key_place.clone(),
                allowed: self.taken.clone(),
            }));
    }
}
