//! Text to quantity and back: durations, counts, rates, sizes and shares.
//!
//! Pure. Every number a user writes or reads with a unit goes through here, so that "10k", "1m30s" and "99.9%" mean
//! the same in scenarios, flags, objectives and reports. Errors are sentences without a position; the caller knows it.

use std::time::Duration;

/// Largest duration accepted: 1000 days. Keeps every offset in microseconds far below `u64::MAX`.
pub const MAX_DURATION: Duration = Duration::from_secs(1000 * 86_400);

const DURATION_UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// A duration such as `250ms`, `1.5s` or `1m30s`.
///
/// # Errors
/// A sentence when a unit is missing or unknown, a number is malformed, or the sum exceeds [`MAX_DURATION`].
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a duration is empty; write it with a unit, such as \"30s\"".into());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_len);
        let unit = unit.trim();
        if number.is_empty() {
            return Err(format!(
                "`{text}` is not a duration; write it like \"250ms\", \"30s\" or \"1m30s\""
            ));
        }
        if unit.is_empty() {
            return Err(format!(
                "`{text}` has no unit; write \"{text}s\" for seconds or \"{text}ms\" for milliseconds"
            ));
        }
        let Some((_, scale)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "`{unit}` is not a unit of time; use ms, s, m, h or d"
            ));
        };
        nanos = scaled(number, *scale)
            .and_then(|part| nanos.checked_add(part))
            .filter(|sum| *sum <= MAX_DURATION.as_nanos())
            .ok_or_else(|| format!("`{text}` is not a duration between 0s and 1000d"))?;
        rest = next.trim_start();
    }
    let nanos = u64::try_from(nanos).map_err(|_| format!("`{text}` is too long"))?;
    Ok(Duration::from_nanos(nanos))
}

/// `number` (decimal, optionally with a fraction) times `scale`, exactly, truncated below one.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut value = whole.checked_mul(scale)?;
    if !fraction.is_empty() {
        let digits: u128 = fraction.parse().ok()?;
        value = value.checked_add(
            digits.checked_mul(scale)? / 10u128.pow(u32::try_from(fraction.len()).ok()?),
        )?;
    }
    Some(value)
}

/// A count such as `2000`, `2_000`, `10k` or `1.5m`. Only whole results are counts.
///
/// # Errors
/// A sentence when the text is no whole number between 0 and 4,294,967,295.
pub fn parse_count(text: &str) -> Result<u32, String> {
    let trimmed = text.trim();
    let bad = || format!("`{text}` is not a count; write a whole number such as 2000 or \"10k\"");
    let (number, scale) = match trimmed.chars().last() {
        Some('k' | 'K') => (&trimmed[..trimmed.len() - 1], 1_000u128),
        Some('m' | 'M') => (&trimmed[..trimmed.len() - 1], 1_000_000),
        _ => (trimmed, 1),
    };
    if number.is_empty()
        || !number
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '_')
    {
        return Err(bad());
    }
    // A thousandfold scale shows whether a fraction was lost: 1.0005k is 1000.5 and so no count.
    let fine = scaled(number, scale * 1_000).ok_or_else(bad)?;
    if fine % 1_000 != 0 {
        return Err(bad());
    }
    u32::try_from(fine / 1_000).map_err(|_| bad())
}

/// A rate such as `2/s`, `30/m` or `1.5k/s`, as events per second (finite, not negative).
///
/// # Errors
/// A sentence when the text has no `/unit`, or the number is malformed.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let bad = || format!("`{text}` is not a rate; write it like \"2/s\" or \"30/m\"");
    let (number, per) = text.trim().split_once('/').ok_or_else(bad)?;
    let per_seconds = match per.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let (number, scale) = match number.trim().strip_suffix(['k', 'K']) {
        Some(n) => (n, 1000.0),
        None => (number.trim(), 1.0),
    };
    let value: f64 = plain_number(number).ok_or_else(bad)?;
    Ok(value * scale / per_seconds)
}

/// A size such as `128B`, `4KiB`, `1MiB` or `1kB`, in bytes.
///
/// # Errors
/// A sentence when the unit is missing or unknown, or the size is no whole number of bytes up to 1 GiB.
pub fn parse_size(text: &str) -> Result<u32, String> {
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let scale = match unit.trim() {
        "B" => 1u128,
        "kB" | "KB" => 1_000,
        "KiB" | "K" | "k" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" | "M" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(format!(
                "`{text}` is not a size; write it like \"128B\", \"4KiB\" or \"1MiB\""
            ));
        }
    };
    scaled(number, scale)
        .filter(|bytes| *bytes <= 1 << 30)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .ok_or_else(|| format!("`{text}` is not a size up to 1GiB"))
}

/// A share such as `99.9%` or `0.999`, as a fraction (0.999 for both).
///
/// # Errors
/// A sentence when the text is neither a percentage from 0 % to 100 % nor a fraction from 0 to 1.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    let share = match trimmed.strip_suffix('%') {
        Some(percent) => plain_number(percent.trim()).map(|p| p / 100.0),
        None => plain_number(trimmed),
    };
    share.filter(|s| (0.0..=1.0).contains(s)).ok_or_else(|| {
        format!("`{text}` is not a share; write it like \"99.9%\" (0% to 100%) or 0.999")
    })
}

/// A plain decimal number: no sign, no exponent, no `inf` or `nan`.
pub fn plain_number(text: &str) -> Option<f64> {
    let ok = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '_')
        && text.chars().any(|c| c.is_ascii_digit());
    if !ok {
        return None;
    }
    text.replace('_', "")
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
}

/// A duration for people: three significant digits, the largest fitting unit (`1m30s`, `10.2s`, `850ms`, `41µs`).
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if duration >= Duration::from_secs(60) {
        let tenths = (seconds * 10.0).round() / 10.0;
        let hours = (tenths / 3600.0).floor();
        let minutes = ((tenths - hours * 3600.0) / 60.0).floor();
        let rest = tenths - hours * 3600.0 - minutes * 60.0;
        let mut text = String::new();
        if hours > 0.0 {
            text.push_str(&format!("{hours}h"));
        }
        if minutes > 0.0 {
            text.push_str(&format!("{minutes}m"));
        }
        if rest >= 0.05 {
            let rest = format!("{rest:.1}");
            text.push_str(rest.strip_suffix(".0").unwrap_or(&rest));
            text.push('s');
        }
        return text;
    }
    if duration.is_zero() {
        return "0s".into();
    }
    if seconds >= 0.9995 {
        return trimmed(seconds, "s");
    }
    if seconds >= 0.000_999_5 {
        return trimmed(seconds * 1e3, "ms");
    }
    trimmed(seconds * 1e6, "µs")
}

/// A duration exactly as a scenario may state it (`1500ms`, `10s`, `90s`): parses back to the same value.
pub fn exact_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, scale) in [("s", 1_000_000_000u128), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos.is_multiple_of(scale) {
            return format!("{}{unit}", nanos / scale);
        }
    }
    format!("{nanos}ns")
}

fn trimmed(value: f64, unit: &str) -> String {
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// A whole number with thousands separators (`12,345`).
pub fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage (`99.95%`), never rounded up to 100 % nor down to 0 %.
pub fn show_share(share: f64) -> String {
    let percent = share * 100.0;
    let text = format!("{percent:.2}");
    let clipped = match text.as_str() {
        "100.00" if percent < 100.0 => "99.99",
        "0.00" if percent > 0.0 => "0.01",
        other => other,
    };
    let clipped = clipped.trim_end_matches('0').trim_end_matches('.');
    format!("{clipped}%")
}

/// Microseconds as whole `u64`, saturating: the unit of every stored offset and latency.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_parse() {
        for (text, want_ms) in [
            ("250ms", 250),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("0s", 0),
            ("1m 5s", 65_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(want_ms)),
                "{text}"
            );
        }
        for text in [
            "", "10", "s", "1x", "-1s", "1..5s", "1s2", "99999d", "1e3s", "٣s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_rates_sizes_and_shares_parse() {
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert_eq!(parse_count("2_000"), Ok(2_000));
        assert_eq!(parse_count("1.5k"), Ok(1_500));
        assert!(parse_count("1.0005k").is_err());
        assert!(parse_count("-1").is_err());
        assert!(parse_count("5000000k").is_err());
        assert_eq!(parse_rate("30/m"), Ok(0.5));
        assert_eq!(parse_rate("1.5k/s"), Ok(1500.0));
        assert!(parse_rate("5").is_err());
        assert!(parse_rate("inf/s").is_err());
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert!(parse_size("12").is_err());
        assert!(parse_size("2GiB").is_err());
        assert_eq!(parse_share("99.9%"), Ok(0.9990000000000001));
        assert!(parse_share("101%").is_err());
        assert!(parse_share("NaN").is_err());
    }

    #[test]
    fn quantities_print_for_people() {
        let ms = |n| show_duration(Duration::from_micros(n));
        assert_eq!(ms(41), "41µs");
        assert_eq!(ms(850_000), "850ms");
        assert_eq!(ms(999_900), "1s");
        assert_eq!(ms(10_240_000), "10.2s");
        assert_eq!(ms(90_000_000), "1m30s");
        assert_eq!(show_count(1_234_567), "1,234,567");
        assert_eq!(show_share(0.99999), "99.99%");
        assert_eq!(show_share(1.0), "100%");
        assert_eq!(show_share(0.0), "0%");
        assert_eq!(show_share(0.9995), "99.95%");
    }

    proptest! {
        #[test]
        fn exact_durations_read_back(nanos in 0u64..86_400_000_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&exact_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = (parse_duration(&text), parse_count(&text), parse_rate(&text), parse_size(&text), parse_share(&text));
        }
    }
}
