//! The words of a sentence one by one: measure, comparison and value. Objectives and abort conditions share them.
//!
//! Pure.

use std::ops::Range;

use crate::scenario::kind::or_list;
use crate::scenario::measure::Unit;
use crate::scenario::nearest::nearest;
use crate::scenario::reader::shortened;
use crate::scenario::{Comparison, Measure};
use crate::units;

/// What kind of sentence is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// What it is called: "objective".
    pub(super) noun: &'static str,
    /// The same with its article.
    pub(super) one: &'static str,
    /// How to write one.
    pub(super) form: &'static str,
    /// A whole one.
    pub(super) example: &'static str,
}

pub(super) const OBJECTIVE: Kind = Kind {
    noun: "objective",
    one: "an objective",
    form: "an objective reads MEASURE OP VALUE [in PHASE | after FAULT], such as \"outage.p99 < 10s after kill-n2\"",
    example: "\"never_recovered == 0\"",
};

pub(super) const CONDITION: Kind = Kind {
    noun: "abort condition",
    one: "an abort condition",
    form: "an abort condition reads LIVE OP VALUE for TIME, such as \"connected < 10% for 10s\"",
    example: "\"connected < 10% for 10s\"",
};

/// How to write an objective.
pub(super) const FORM: &str = OBJECTIVE.form;

/// A word and its bytes within the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) span: Range<usize>,
}

/// What is wrong with a sentence, and which bytes of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fall {
    pub(super) title: String,
    pub(super) span: Range<usize>,
    pub(super) label: String,
    pub(super) help: String,
}

pub(super) fn fall(
    word: &Word<'_>,
    title: String,
    label: impl Into<String>,
    help: impl Into<String>,
) -> Fall {
    Fall {
        title,
        span: word.span.clone(),
        label: label.into(),
        help: help.into(),
    }
}

/// A word that is not there, at the end of a sentence.
pub(super) fn missing(kind: &Kind, what: &str, end: usize) -> Fall {
    Fall {
        title: format!("the {} has no {what}", kind.noun),
        span: end..end,
        label: format!("{what} expected here"),
        help: kind.form.into(),
    }
}

/// Splits at spaces and around signs of comparison, which need no spaces.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let is_sign = |c: char| matches!(c, '<' | '>' | '=' | '!');
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut start = 0;
    while let Some(offset) = text[start..].find(|c: char| !c.is_whitespace()) {
        let from = start + offset;
        let signs = text[from..].starts_with(is_sign);
        let length = text[from..]
            .find(|c: char| c.is_whitespace() || is_sign(c) != signs)
            .unwrap_or(text.len() - from);
        words.push(Word {
            text: &text[from..from + length],
            span: from..from + length,
        });
        start = from + length;
    }
    words
}

pub(super) fn measure(word: &Word<'_>) -> Result<Measure, Fall> {
    if let Some(measure) = Measure::parse(word.text) {
        return Ok(measure);
    }
    let names: Vec<String> = Measure::all().iter().map(Measure::to_string).collect();
    let family: Vec<String> = names
        .iter()
        .filter_map(|name| {
            name.strip_prefix(word.text)?
                .strip_prefix('.')
                .map(|_| name.clone())
        })
        .collect();
    let help = match (nearest(word.text, &names), word.text.split_once('.')) {
        _ if !family.is_empty() => format!("say which: {}", or_list(&family)),
        (Some(near), tail) if !tail.is_some_and(is_quantile) => format!("did you mean `{near}`?"),
        (_, Some((head, _)))
            if names
                .iter()
                .any(|name| name.starts_with(&format!("{head}."))) =>
        {
            let prefix = format!("{head}.");
            let family: Vec<&str> = names
                .iter()
                .map(String::as_str)
                .filter(|name| name.starts_with(&prefix))
                .collect();
            format!("there are {}", family.join(", "))
        }
        _ => "such as handshake.success, disconnects, outage.p99, fleet_recovery or messages.lost"
            .to_owned(),
    };
    Err(fall(
        word,
        format!("there is no measure `{}`", shortened(word.text)),
        "unknown measure",
        help,
    ))
}

/// Is the part after the first dot meant as a quantile? Then the ones that exist help more than the nearest of them.
fn is_quantile((_, tail): (&str, &str)) -> bool {
    tail.strip_prefix('p')
        .is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
}

pub(super) fn comparison(word: &Word<'_>) -> Result<Comparison, Fall> {
    if let Some(comparison) = Comparison::ALL
        .into_iter()
        .find(|one| one.sign() == word.text)
    {
        return Ok(comparison);
    }
    let help = match word.text {
        "=" | "===" => "write ==".to_owned(),
        "=<" => "write <=".to_owned(),
        "=>" => "write >=".to_owned(),
        "<>" | "!" | "!==" => "write !=".to_owned(),
        _ => "write <, <=, ==, !=, >= or >".to_owned(),
    };
    Err(fall(
        word,
        format!("`{}` is no comparison", shortened(word.text)),
        "a comparison expected here",
        help,
    ))
}

/// Words that a value may be followed by.
const LINKS: [&str; 3] = ["in", "after", "for"];

pub(super) fn bound(
    (name, unit): (&str, Unit),
    word: &Word<'_>,
    next: Option<&Word<'_>>,
    form: &'static str,
) -> Result<f64, Fall> {
    let (kind, parsed) = match unit {
        Unit::Share => ("share", units::parse_share(word.text)),
        Unit::Count => ("count", units::parse_count(word.text).map(f64::from)),
        Unit::Seconds => (
            "duration",
            units::parse_duration(word.text).map(|value| value.as_secs_f64()),
        ),
        Unit::PerSecond => ("rate", units::parse_rate(word.text)),
        Unit::Factor => (
            "factor",
            units::plain_number(word.text.strip_suffix('x').unwrap_or(word.text))
                .ok_or_else(|| format!("`{}` is not a factor; write it like 1.5", word.text)),
        ),
    };
    parsed.map_err(|sentence| {
        let (label, help) = sentence.split_once("; ").unwrap_or((&sentence, form));
        let is_split = next.is_some_and(|next| {
            next.text
                .chars()
                .all(|c| c.is_alphabetic() || c == '%' || c == '/')
        });
        let help = match (is_split, next) {
            (true, Some(next)) if !LINKS.contains(&next.text) => {
                format!(
                    "write {}{} without a space",
                    shortened(word.text),
                    shortened(next.text)
                )
            }
            _ => help.to_owned(),
        };
        fall(
            word,
            format!("`{name}` is compared with a {kind}"),
            shortened(label),
            help,
        )
    })
}

/// Refuses what holds whatever happens, or never: no run could tell anything about it.
pub(super) fn check_sense(
    kind: &Kind,
    (name, unit): (&str, Unit),
    comparison: Comparison,
    bound: f64,
    span: Range<usize>,
) -> Result<(), Fall> {
    let most = if unit == Unit::Share {
        1.0
    } else {
        f64::INFINITY
    };
    let never = match comparison {
        Comparison::Less => bound <= 0.0,
        Comparison::Greater => bound >= most,
        _ => false,
    };
    let always = match comparison {
        Comparison::GreaterOrEqual => bound <= 0.0,
        Comparison::LessOrEqual => bound >= most,
        _ => false,
    };
    if !never && !always {
        return Ok(());
    }
    let what = if never { "never" } else { "always" };
    Err(Fall {
        title: format!("the {} {what} holds", kind.noun),
        span,
        label: format!(
            "`{name}` lies {}",
            if most == 1.0 {
                "between 0% and 100%"
            } else {
                "at or above 0"
            }
        ),
        help: "choose another bound or comparison".into(),
    })
}
