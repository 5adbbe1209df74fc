//! The words of an abort condition.
//!
//! Pure.

use std::time::Duration;

use super::word::{CONDITION, Fall, Word, bound, check_sense, comparison, fall, missing, words};
use crate::scenario::kind::or_list;
use crate::scenario::nearest::nearest;
use crate::scenario::reader::shortened;
use crate::scenario::{AbortCondition, Live};
use crate::units::{parse_duration, show_duration};

/// Reads one; `run` is how long the run lasts, if that is known.
pub(super) fn parse(text: &str, run: Option<Duration>) -> Result<AbortCondition, Fall> {
    let words = words(text);
    let mut rest = words.iter();
    let end = text.trim_end().len();
    let missing = |what: &str| missing(&CONDITION, what, end);
    let word = rest.next().ok_or_else(|| missing("measure"))?;
    let live = live(word)?;
    let comparison = comparison(rest.next().ok_or_else(|| missing("comparison"))?)?;
    let value = rest.next().ok_or_else(|| missing("value"))?;
    let subject = (word.text, live.unit());
    let bound = bound(subject, value, rest.clone().next(), CONDITION.form)?;
    let span = word.span.start..value.span.end;
    check_sense(&CONDITION, subject, comparison, bound, span)?;
    let link = rest.next().ok_or_else(|| missing("`for TIME`"))?;
    if link.text != "for" {
        return Err(fall(
            link,
            "the abort condition goes on after its value".into(),
            "`for TIME` expected",
            CONDITION.form,
        ));
    }
    let time = rest.next().ok_or_else(|| missing("time"))?;
    let seconds = seconds(time, run)?;
    if let Some(extra) = rest.next() {
        return Err(fall(
            extra,
            "the abort condition goes on after its end".into(),
            "nothing expected here",
            CONDITION.form,
        ));
    }
    Ok(AbortCondition {
        text: text.to_owned(),
        live,
        comparison,
        bound,
        seconds,
    })
}

fn live(word: &Word<'_>) -> Result<Live, Fall> {
    Live::parse(word.text).ok_or_else(|| {
        let names = Live::ALL.map(Live::name);
        let help = match nearest(word.text, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "there are {}",
                or_list(&names.map(str::to_owned)).replace(" or ", " and ")
            ),
        };
        let title = format!(
            "`{}` cannot be told while a run goes on",
            shortened(word.text)
        );
        fall(word, title, "no live measure", help)
    })
}

/// Whole seconds, since that is how often the fleet is looked at.
fn seconds(word: &Word<'_>, run: Option<Duration>) -> Result<u32, Fall> {
    let title = "an abort condition must hold for whole seconds";
    let time = parse_duration(word.text).map_err(|sentence| {
        let (label, help) = sentence
            .split_once("; ")
            .unwrap_or((&sentence, CONDITION.form));
        fall(word, title.into(), shortened(label), help)
    })?;
    if time.is_zero() || time.subsec_nanos() != 0 {
        let help = "write 1s or more, without a fraction; it is looked at once a second";
        return Err(fall(word, title.into(), "these are none", help));
    }
    if let Some(run) = run.filter(|run| time > *run) {
        return Err(fall(
            word,
            "the abort condition never holds".into(),
            format!("the run lasts {}", show_duration(run)),
            "shorten the time, or lengthen `duration`",
        ));
    }
    // A run is far shorter than that.
    Ok(u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}
