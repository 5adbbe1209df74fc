//! Flags and environment variables laid over the tree of a scenario file.
//!
//! Pure. A value that came from a flag keeps pointing at the flag, so that a problem with it does too.

use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::reader::shortened;
use super::tree::{self, Entry, Item, Table, Value};

/// One value that replaces or adds to the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Dotted key: `clients.count`, `faults.0.at`, `faults.kill-n2.at`.
    pub key: String,
    /// Its value: TOML, or else taken as a string.
    pub value: String,
    /// What the user wrote, for messages: `--clients 8000`, `WSSOAK_CLIENTS=8000`.
    pub origin: String,
}

/// Key, value and origin: the form in which result folders and agents' orders keep it.
impl From<&[String; 3]> for Override {
    fn from([key, value, origin]: &[String; 3]) -> Self {
        Self {
            key: key.clone(),
            value: value.clone(),
            origin: origin.clone(),
        }
    }
}

impl Override {
    fn value_place(&self, index: usize) -> Place {
        let part = match self.origin.rfind(&*self.value) {
            Some(at) if !self.value.is_empty() => at..at + self.value.len(),
            _ => 0..self.origin.len(),
        };
        Place::Flag { index, part }
    }

    fn key_place(&self, index: usize) -> Place {
        let part = match self.origin.find(&*self.key) {
            Some(at) if !self.key.is_empty() => at..at + self.key.len(),
            _ => 0..self.origin.find(['=', ' ']).unwrap_or(self.origin.len()),
        };
        Place::Flag { index, part }
    }
}

/// Lays `overrides` over `root`, later ones over earlier ones.
pub(super) fn apply(root: &mut Table, overrides: &[Override]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, one) in overrides.iter().enumerate() {
        if let Err(problem) = apply_one(root, one, index) {
            problems.push(*problem);
        }
    }
    problems
}

fn apply_one(root: &mut Table, one: &Override, index: usize) -> Result<(), Box<Problem>> {
    let key_place = one.key_place(index);
    let refuse = |title: String, help: String| {
        Box::new(
            Problem::new(title)
                .mark(Some(&key_place), "this key leads nowhere")
                .help(help),
        )
    };
    let parts: Vec<&str> = one.key.split('.').collect();
    let (last, path) = match parts.split_last() {
        Some((last, path)) if parts.len() <= 8 && parts.iter().all(|part| !part.is_empty()) => {
            (*last, path)
        }
        _ => {
            let title = format!("`{}` is not a key", shortened(&one.key));
            return Err(refuse(title, "write it like clients.count=8000".into()));
        }
    };
    let mut table = root;
    let mut path = path.iter();
    while let Some(part) = path.next() {
        if table.get(part).is_none() {
            table.entries.push(Entry {
                key: (*part).to_owned(),
                key_place: key_place.clone(),
                item: Item {
                    value: Value::Table(Table::default()),
                    place: key_place.clone(),
                    literal: None,
                },
            });
        }
        let Some(entry) = table.get_mut(part) else {
            return Ok(());
        };
        let mut value = &mut entry.item.value;
        if let Value::Array(items) = value {
            let names = element_names(items);
            let element = path.next().copied().unwrap_or(last);
            let found = names
                .iter()
                .position(|name| name == element)
                .or_else(|| element.parse().ok().filter(|at| *at < items.len()));
            let Some(at) = found else {
                let title = format!("there is no `{}` in `{part}`", shortened(element));
                return Err(refuse(title, element_help(part, element, &names)));
            };
            value = &mut items[at].value;
        }
        let Value::Table(inner) = value else {
            let title = format!("`{}` is not a table", shortened(part));
            return Err(refuse(title, format!("it is {} in the file", value.what())));
        };
        table = inner;
    }
    let item = tree::parse_value(&one.value, &one.value_place(index));
    match table.get_mut(last) {
        Some(entry) => (entry.item, entry.key_place) = (item, key_place),
        None => table.entries.push(Entry {
            key: last.to_owned(),
            key_place,
            item,
        }),
    }
    Ok(())
}

fn element_help(part: &str, element: &str, names: &[String]) -> String {
    if let Some(near) = nearest(element, names) {
        return format!("did you mean `{part}.{near}`?");
    }
    match names {
        [] => format!("the file has no [[{part}]]"),
        [one] => format!("`{part}` holds {one} (or 0)"),
        names => format!(
            "`{part}` holds {} (or 0 to {})",
            names.join(", "),
            names.len() - 1
        ),
    }
}

/// The names of a list's tables: `name`, else `kind`, else the index; a second `kill-node` is `kill-node-2`.
pub(super) fn element_names(items: &[Item]) -> Vec<String> {
    let string = |item: &Item, key: &str| match &item.value {
        Value::Table(table) => match table.get(key).map(|entry| &entry.item.value) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let mut names: Vec<String> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let name = string(item, "name").unwrap_or_else(|| {
            let kind = string(item, "kind").unwrap_or_else(|| index.to_string());
            let alike = items[..index]
                .iter()
                .filter(|other| {
                    string(other, "name").is_none()
                        && string(other, "kind").as_deref() == Some(&kind)
                })
                .count();
            if alike == 0 {
                kind
            } else {
                format!("{kind}-{}", alike + 1)
            }
        });
        names.push(name);
    }
    names
}
