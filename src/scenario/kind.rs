//! The kinds of value a key can have: from an item of the tree to a typed value, or a complaint.
//!
//! Pure. Each function here says what must hold, what stands there instead, and what to write.

use std::time::Duration;

use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::reader::shortened;
use super::tree::{Item, Value};
use crate::units;

/// Why a value will not do: reads as "`key` MUST", a label below the value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    must: String,
    label: String,
    help: Option<String>,
}

impl Complaint {
    pub(super) fn new(must: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            must: must.into(),
            label: label.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// From a sentence of [`units`], "what is wrong; what to write".
    fn sentence(must: &str, sentence: &str) -> Self {
        match sentence.split_once("; ") {
            Some((label, help)) => Self::new(must, shortened(label)).help(shortened(help)),
            None => Self::new(must, shortened(sentence)),
        }
    }

    fn wrong_type(must: impl Into<String>, value: &Value, example: &str) -> Self {
        Self::new(must, format!("this is {}", value.what()))
            .help(format!("write it like {example}"))
    }

    pub(super) fn problem(self, key: &str, place: &Place) -> Problem {
        let problem = Problem::new(format!("`{}` {}", shortened(key), self.must))
            .mark(Some(place), self.label);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// A duration in `[least, most]`.
pub(super) fn duration_in(
    least: Duration,
    most: Duration,
) -> impl Fn(&Item) -> Result<Duration, Complaint> {
    move |item| {
        const MUST: &str = "must be a duration";
        let text = match (&item.value, &item.literal) {
            (Value::String(text), _) | (_, Some(text)) => text,
            (Value::Integer(Some(number)), None) if *number >= 0 => {
                return Err(Complaint::new(MUST, "a number without a unit")
                    .help(format!("write \"{number}s\"")));
            }
            (Value::Float(number), None) => {
                return Err(Complaint::new(MUST, "a number without a unit")
                    .help(format!("write \"{number}s\"")));
            }
            (other, None) => return Err(Complaint::wrong_type(MUST, other, "\"10s\"")),
        };
        let duration =
            units::parse_duration(text).map_err(|sentence| Complaint::sentence(MUST, &sentence))?;
        if duration < least || duration > most {
            let side = if duration > most { "long" } else { "short" };
            let (least, most) = (units::exact_duration(least), limit(most));
            return Err(Complaint::new(
                format!("must be from {least} to {most}"),
                format!("{} is too {side}", shortened(text)),
            ));
        }
        Ok(duration)
    }
}

/// An upper limit for people: whole days as days.
fn limit(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 86_400 && seconds.is_multiple_of(86_400) {
        return format!("{}d", seconds / 86_400);
    }
    units::show_duration(duration)
}

/// Any duration from a millisecond to a day: timeouts.
pub(super) fn timeout(item: &Item) -> Result<Duration, Complaint> {
    duration_in(Duration::from_millis(1), Duration::from_secs(86_400))(item)
}

/// An offset from the start of the run.
pub(super) fn offset(item: &Item) -> Result<Duration, Complaint> {
    duration_in(Duration::ZERO, units::MAX_DURATION)(item)
}

/// A count in `[least, most]`: a whole number, or text such as "10k".
pub(super) fn count_in(least: u32, most: u32) -> impl Fn(&Item) -> Result<u32, Complaint> {
    move |item| {
        const MUST: &str = "must be a count";
        let range = || {
            let (least, most) = (
                units::show_count(least.into()),
                units::show_count(most.into()),
            );
            format!("must be from {least} to {most}")
        };
        let (count, shown) = match &item.value {
            Value::Integer(Some(number)) => (u32::try_from(*number).ok(), number.to_string()),
            Value::Integer(None) => (None, "this number".to_owned()),
            Value::String(text) => {
                let count = units::parse_count(text)
                    .map_err(|sentence| Complaint::sentence(MUST, &sentence))?;
                (Some(count), shortened(text))
            }
            other => return Err(Complaint::wrong_type(MUST, other, "2000 or \"10k\"")),
        };
        match count {
            Some(count) if (least..=most).contains(&count) => Ok(count),
            _ => Err(Complaint::new(range(), format!("{shown} is out of range"))),
        }
    }
}

/// A whole number that is not negative.
pub(super) fn seed(item: &Item) -> Result<u64, Complaint> {
    let must = "must be a whole number from 0 to 18,446,744,073,709,551,615";
    match &item.value {
        Value::Integer(number) => number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| Complaint::new(must, "out of range")),
        other => Err(Complaint::wrong_type(must, other, "1")),
    }
}

/// `true` or `false`.
pub(super) fn switch(item: &Item) -> Result<bool, Complaint> {
    match &item.value {
        Value::Boolean(value) => Ok(*value),
        other => Err(
            Complaint::new("must be true or false", format!("this is {}", other.what()))
                .help("write true or false, without quotes"),
        ),
    }
}

/// Any text.
pub(super) fn text(item: &Item) -> Result<String, Complaint> {
    match (&item.value, &item.literal) {
        (Value::String(text), _) | (_, Some(text)) => Ok(text.clone()),
        (other, None) => Err(Complaint::new(
            "must be a string",
            format!("this is {}", other.what()),
        )
        .help("put it in quotes")),
    }
}

/// Text on one line.
pub(super) fn line(item: &Item) -> Result<String, Complaint> {
    let text = text(item)?;
    if text.chars().any(char::is_control) || text.len() > 500 {
        return Err(Complaint::new(
            "must be one line of at most 500 bytes",
            "this is more than that",
        )
        .help("put the rest into a comment at the top of the file"));
    }
    Ok(text)
}

/// A name that can be part of a path and of an objective.
pub(super) fn name(item: &Item) -> Result<String, Complaint> {
    let text = text(item)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 60 || !text.chars().all(is_name) {
        let better: String = text
            .trim()
            .chars()
            .take(60)
            .map(|c| if is_name(c) { c } else { '-' })
            .collect();
        let complaint = Complaint::new(
            "must be a name of 1 to 60 letters, digits, `-` and `_`",
            "not a name: it becomes part of paths and objectives",
        );
        return Err(match better.as_str() {
            "" => complaint,
            better => complaint.help(format!("write \"{better}\"")),
        });
    }
    Ok(text)
}

/// One of several words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Item) -> Result<T, Complaint> {
    move |item| {
        let all: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let must = format!("must be {}", or_list(&all));
        let text = match (&item.value, &item.literal) {
            (Value::String(text), _) | (_, Some(text)) => text,
            (other, None) => {
                let label = format!("this is {}", other.what());
                let quoted = match other {
                    Value::Float(number) => words.iter().find(|(word, _)| word == number),
                    Value::Boolean(false) => words.iter().find(|(word, _)| *word == "none"),
                    _ => None,
                };
                let complaint = Complaint::new(must, label);
                return Err(match quoted {
                    Some((word, _)) => complaint.help(format!("write \"{word}\"")),
                    None => complaint,
                });
            }
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Ok(*value);
        }
        let complaint = Complaint::new(must, format!("`{}` is none of them", shortened(text)));
        Err(match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => complaint.help(format!("did you mean \"{near}\"?")),
            None => complaint,
        })
    }
}

/// `a, b or c`.
pub(super) fn or_list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

/// A rate between once an hour and 10,000 a second, as the time from one event to the next.
pub(super) fn interval(item: &Item) -> Result<Duration, Complaint> {
    const MUST: &str = "must be a rate";
    let Value::String(text) = &item.value else {
        return Err(Complaint::wrong_type(
            MUST,
            &item.value,
            "\"2/s\" or \"30/m\"",
        ));
    };
    let rate = units::parse_rate(text).map_err(|sentence| Complaint::sentence(MUST, &sentence))?;
    if !(1.0 / 3600.0..=10_000.0).contains(&rate) {
        return Err(Complaint::new(
            "must be from 1/h to 10k/s",
            format!("{} is out of range", shortened(text)),
        )
        .help("to say nothing at all, write source = \"none\""));
    }
    Ok(Duration::from_secs_f64(1.0 / rate))
}

/// A size in `[least, most]` bytes; `why` is said of one that is not.
pub(super) fn size_in(
    least: u32,
    most: u32,
    why: &'static str,
) -> impl Fn(&Item) -> Result<u32, Complaint> {
    move |item| {
        const MUST: &str = "must be a size";
        let text = match (&item.value, &item.literal) {
            (Value::String(text), _) => text,
            (Value::Integer(Some(number)), _) => {
                return Err(Complaint::new(MUST, "a number without a unit")
                    .help(format!("write \"{number}B\"")));
            }
            (other, _) => return Err(Complaint::wrong_type(MUST, other, "\"128B\" or \"4KiB\"")),
        };
        let size =
            units::parse_size(text).map_err(|sentence| Complaint::sentence(MUST, &sentence))?;
        if !(least..=most).contains(&size) {
            return Err(Complaint::new(
                format!("must be from {least}B to {}MiB", most >> 20),
                format!("{} is out of range", shortened(text)),
            )
            .help(why));
        }
        Ok(size)
    }
}
