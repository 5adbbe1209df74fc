//! The table of kinds: the word, how long, and which keys belong to it.
//!
//! A new kind is an entry in its family's table; a new family is a file and a line in [`FAMILIES`].

use std::sync::LazyLock;
use std::time::Duration;

use super::{World, client, link, node, proxy};
use crate::scenario::FaultKind;
use crate::scenario::kind::or_list;
use crate::scenario::problem::{Place, Problem};
use crate::scenario::reader::Reader;

/// One kind of fault.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) word: &'static str,
    pub(super) lasts: Lasts,
    /// Keys beside those that every fault has.
    pub(super) keys: &'static [&'static str],
    /// Takes the keys that no other file takes.
    pub(super) read: fn(&mut Reader<'_>, &Case<'_>) -> FaultKind,
}

/// What `for` is to a kind.
#[derive(Debug)]
pub(super) enum Lasts {
    /// It must be there.
    Needed,
    /// This, if it is not there.
    Default(Duration),
    /// It cannot be there: a moment. Why, and what to do.
    Moment(&'static str, &'static str),
}

/// The fault that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    /// Where its kind stands.
    pub(super) kind: Option<&'a Place>,
    pub(super) world: &'a World<'a>,
}

const FAMILIES: &[&[Kind]] = &[client::KINDS, node::KINDS, proxy::KINDS, link::KINDS];

/// All kinds by their word.
pub(super) fn words() -> &'static [(&'static str, &'static Kind)] {
    static WORDS: LazyLock<Vec<(&'static str, &'static Kind)>> = LazyLock::new(|| {
        let kinds = FAMILIES.iter().flat_map(|family| family.iter());
        kinds.map(|kind| (kind.word, kind)).collect()
    });
    &WORDS
}

/// Keys that some kind has.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let mut keys: Vec<&str> = words()
        .iter()
        .flat_map(|(_, kind)| kind.keys)
        .copied()
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
}

/// Reports the keys that belong to other kinds.
pub(super) fn refuse_others(table: &mut Reader<'_>, kind: &Kind) {
    for key in keys().filter(|key| !kind.keys.contains(key)) {
        let Some(place) = table.misplaced(key) else {
            continue;
        };
        let owners: Vec<String> = words()
            .iter()
            .filter(|(_, other)| other.keys.contains(&key))
            .map(|(word, _)| (*word).to_owned())
            .collect();
        let who = match owners.as_slice() {
            [one] => format!("only {one} has it"),
            several => format!("only {} have it", or_list(several).replace(" or ", " and ")),
        };
        let help = match owners.as_slice() {
            [one] => format!("remove it, or write kind = \"{one}\""),
            _ => "remove it, or choose another kind".to_owned(),
        };
        table.log().add(
            Problem::new(format!("`{key}` makes no sense for {}", kind.word))
                .mark(Some(&place), who)
                .help(help),
        );
    }
}
