//! `[reconnect]`.

use std::time::Duration;

use super::no_effect;
use crate::scenario::kind;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::{Jitter, Policy, Reconnect};
use crate::units::show_duration;

pub(in crate::scenario) fn read(top: &mut Reader<'_>) -> Reconnect {
    let mut table = top.table("reconnect");
    let policies = kind::one_of(&[
        ("none", Policy::None),
        ("constant", Policy::Constant),
        ("exponential", Policy::Exponential),
    ]);
    let jitters = kind::one_of(&[
        ("none", Jitter::None),
        ("full", Jitter::Full),
        ("equal", Jitter::Equal),
        ("decorrelated", Jitter::Decorrelated),
    ]);
    let policy = table.get("policy", policies).or(Policy::Exponential);
    let jitter = table.get("jitter", jitters).or(Jitter::Full);
    let base = table
        .get("base", kind::timeout)
        .or(Duration::from_millis(500));
    let cap = table.get("cap", kind::timeout).or(Duration::from_secs(30));
    let attempts = table.get("attempts", kind::count_in(1, 1_000_000));

    let retry_after = table.get("retry_after", kind::switch).or(false);

    let log = table.log();
    if policy.value == Policy::None {
        let (why, help) = ("nobody reconnects", "remove it, or choose another policy");
        no_effect(log, &jitter, &policy, why, help);
        no_effect(log, &base, &policy, why, help);
        no_effect(log, &cap, &policy, why, help);
        no_effect(log, &attempts, &policy, why, help);
        if retry_after.value {
            no_effect(log, &retry_after, &policy, why, help);
        }
    } else if policy.value == Policy::Constant && jitter.value != Jitter::Decorrelated {
        no_effect(
            log,
            &cap,
            &policy,
            "the delay does not grow",
            "remove it; `base` is the delay",
        );
    } else if base.is_sound && cap.is_sound && cap.value < base.value {
        let of = |field: &Field<Duration>| {
            let default = if field.is_given() { "" } else { " (default)" };
            format!("`{}` is {}{default}", field.key, show_duration(field.value))
        };
        let (first, second) = if cap.is_given() {
            (&cap, &base)
        } else {
            (&base, &cap)
        };
        log.add(
            Problem::new("the longest delay is shorter than the first")
                .mark(first.place.as_ref(), of(first))
                .mark(second.place.as_ref(), of(second))
                .help("make `cap` at least `base`")
                .derived(),
        );
    }
    Reconnect {
        policy: policy.value,
        jitter: jitter.value,
        base: base.value,
        cap: cap.value,
        attempts: attempts.value,
        retry_after: retry_after.value,
    }
}
