//! When calls are allowed.

use std::fmt;

use chrono::DateTime;

use super::source::Time as Source;
use crate::clock::Now;
use crate::config::{Problems, moment};

/// Days, times of the day and moments. Both ends of each are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// One bit for each day, Monday's the lowest.
    days: u8,
    /// In minutes since midnight, the end excluded.
    minutes: (u32, u32),
    /// From UTC, in seconds.
    offset: i64,
    /// In seconds since 1970, the end excluded.
    moments: (i64, i64),
}

const ALL_DAYS: u8 = 0b111_1111;
const MINUTES: u32 = 24 * 60;

impl Window {
    /// Reads what is written at `path`; what is wrong goes to `problems`.
    pub fn compile(source: &Source, path: &str, problems: &mut Problems) -> Self {
        let mut moment = |name: &str, text: &Option<String>| {
            let moment = moment(text.as_ref()?, format!("{path}.{name}"), problems)?;
            Some(moment.timestamp())
        };
        let not_before = moment("not_before", &source.not_before).unwrap_or(i64::MIN);
        let not_after = moment("not_after", &source.not_after).unwrap_or(i64::MAX);
        let mut minute = |name: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            let read = minutes(text);
            if read.is_none() {
                let message = format!("`{text}` is not a time of the day");
                problems.add_with_help(format!("{path}.{name}"), message, "write it like `08:30`");
            }
            read
        };
        let from = minute("from", &source.from).unwrap_or(0);
        let until = minute("until", &source.until).unwrap_or(MINUTES);
        let offset = source.utc_offset.as_ref().map_or(Some(0), |text| offset(text));
        if offset.is_none() {
            let text = source.utc_offset.as_deref().unwrap_or_default();
            let message = format!("`{text}` is not an offset from UTC");
            problems.add_with_help(format!("{path}.utc_offset"), message, "write it like `+01:00`");
        }
        let days = source
            .days
            .as_ref()
            .map_or(ALL_DAYS, |days| days.iter().fold(0, |bits, day| bits | 1 << *day as u8));
        let window = Self {
            days,
            minutes: (from, until),
            offset: offset.unwrap_or(0),
            moments: (not_before, not_after),
        };
        if *source == (Source { utc_offset: source.utc_offset.clone(), ..Source::default() }) {
            problems.add(path, "this condition says nothing");
        } else if days == 0 {
            problems.add_with_help(
                format!("{path}.days"),
                "can never hold",
                "name at least one day",
            );
        } else if from >= until {
            let help = "times lie within a day: for a night write two rules";
            problems.add_with_help(path, "can never hold", help);
        } else if not_before >= not_after {
            problems.add_with_help(
                path,
                "can never hold",
                "`not_before` is not before `not_after`",
            );
        }
        window
    }

    /// Whether this moment lies in it.
    #[must_use]
    pub fn contains(&self, now: Now) -> bool {
        let Ok(seconds) = i64::try_from(now.unix_seconds()) else { return false };
        let local = seconds.saturating_add(self.offset);
        let minute = u32::try_from(local.rem_euclid(DAY) / 60).unwrap_or(MINUTES);
        // The first day of 1970 was a Thursday.
        let weekday = local.div_euclid(DAY).saturating_add(3).rem_euclid(7);
        (self.moments.0..self.moments.1).contains(&seconds)
            && (self.minutes.0..self.minutes.1).contains(&minute)
            && self.days & (1 << weekday) != 0
    }

    /// Whether every moment of `other` lies in it, as far as can be told without a calendar.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let is_always = self.days == ALL_DAYS && self.minutes == (0, MINUTES);
        let same_day = self.offset == other.offset
            && self.days & other.days == other.days
            && self.minutes.0 <= other.minutes.0
            && self.minutes.1 >= other.minutes.1;
        (is_always || same_day)
            && self.moments.0 <= other.moments.0
            && self.moments.1 >= other.moments.1
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] =
            ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        let mut parts = Vec::new();
        if self.days != ALL_DAYS {
            let days = NAMES.iter().enumerate().filter(|(day, _)| self.days & (1 << day) != 0);
            let days: Vec<&str> = days.map(|(_, name)| *name).collect();
            parts.push(format!("on {}", days.join(", ")));
        }
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        if self.minutes != (0, MINUTES) {
            let (from, until) = self.minutes;
            parts.push(format!("from {} until {}", clock(from), clock(until)));
        }
        if !parts.is_empty() {
            let minutes = u32::try_from(self.offset.unsigned_abs() / 60).unwrap_or(0);
            let sign = if self.offset < 0 { '-' } else { '+' };
            parts.push(format!("(UTC{sign}{})", clock(minutes)));
        }
        for (word, moment) in [("since", self.moments.0), ("before", self.moments.1)] {
            if ![i64::MIN, i64::MAX].contains(&moment) {
                let text = DateTime::from_timestamp(moment, 0).map(|moment| moment.to_rfc3339());
                parts.push(format!("{word} {}", text.unwrap_or_default()));
            }
        }
        out.write_str(&parts.join(" "))
    }
}

/// In seconds.
const DAY: i64 = 86_400;

/// `HH:MM`, in minutes; `24:00` is the end of the day.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    (all <= MINUTES).then_some(all)
}

/// `+HH:MM` or `-HH:MM`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let minutes = i64::from(minutes(rest)?);
    minutes.checked_mul(60)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn window(yaml: &str) -> Result<Window, String> {
        let source = serde_json::from_str(yaml).unwrap();
        let mut problems = Problems::default();
        let window = Window::compile(&source, "time", &mut problems);
        problems.into_result(Some(window)).map_err(|errors| errors.to_string())
    }

    fn at(moment: &str) -> Now {
        let seconds = DateTime::parse_from_rfc3339(moment).unwrap().timestamp();
        Now { unix: Duration::from_secs(u64::try_from(seconds).unwrap()), ..Now::default() }
    }

    #[test]
    fn days_and_times_are_those_of_the_offset() {
        let office = window(
            r#"{"days": ["monday", "friday"], "from": "08:00", "until": "18:00", "utc_offset": "+01:00"}"#,
        )
        .unwrap();
        for (moment, expected) in [
            ("2026-11-20T07:00:00Z", true), // a Friday, 08:00 there
            ("2026-11-20T06:59:59Z", false),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-11-21T10:00:00Z", false),
            ("2026-11-23T10:00:00Z", true),
        ] {
            assert_eq!(office.contains(at(moment)), expected, "{moment}");
        }
        let sunday = window(r#"{"days": ["sunday"], "utc_offset": "-10:00"}"#).unwrap();
        assert!(sunday.contains(at("2026-11-23T09:59:59Z")));
        assert!(!sunday.contains(at("2026-11-23T10:00:00Z")));
        let twice = window(r#"{"days": ["sunday", "sunday", "monday"]}"#).unwrap();
        assert!(twice.contains(at("2026-11-22T10:00:00Z")), "a day may be named twice");
    }

    #[test]
    fn moments_end_before_their_end() {
        let window = window(
            r#"{"not_before": "2026-12-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z"}"#,
        );
        let window = window.unwrap();
        assert!(window.contains(at("2026-12-01T00:00:00Z")));
        assert!(!window.contains(at("2026-11-30T23:59:59Z")));
        assert!(!window.contains(at("2027-01-01T00:00:00Z")));
    }

    #[test]
    fn one_window_includes_another() {
        let office = r#"{"days": ["monday", "friday"], "from": "08:00", "until": "18:00"}"#;
        for (outer, inner, expected) in [
            (office, r#"{"days": ["friday"], "from": "08:00", "until": "12:00"}"#, true),
            (office, r#"{"days": ["friday"], "from": "07:59", "until": "12:00"}"#, false),
            (office, r#"{"days": ["friday", "sunday"], "from": "09:00", "until": "10:00"}"#, false),
            (
                office,
                r#"{"days": ["friday"], "from": "09:00", "until": "10:00", "utc_offset": "+01:00"}"#,
                false,
            ),
            (
                r#"{"from": "08:00", "until": "18:00"}"#,
                r#"{"from": "09:00", "until": "10:00", "utc_offset": "+01:00"}"#,
                false,
            ),
            (r#"{"days": ["monday"]}"#, r#"{"days": ["tuesday"]}"#, false),
            (r#"{"not_before": "2030-01-01T00:00:00Z"}"#, office, false),
            (
                r#"{"not_before": "2030-01-01T00:00:00Z"}"#,
                r#"{"not_before": "2031-01-01T00:00:00Z"}"#,
                true,
            ),
            (r#"{"not_after": "2030-01-01T00:00:00Z"}"#, office, false),
            (
                r#"{"not_after": "2030-01-01T00:00:00Z"}"#,
                r#"{"days": ["friday"], "not_after": "2029-01-01T00:00:00Z", "utc_offset": "+01:00"}"#,
                true,
            ),
        ] {
            let [outer, inner] = [outer, inner].map(|text| window(text).unwrap());
            assert_eq!(outer.includes(&inner), expected, "{outer}: {inner}");
        }
    }

    #[test]
    fn a_window_reads_as_it_was_written() {
        for (text, expected) in [
            (
                r#"{"days": ["monday", "friday"], "from": "08:00", "until": "18:30", "utc_offset": "-01:30"}"#,
                "on Monday, Friday from 08:00 until 18:30 (UTC-01:30)",
            ),
            (
                r#"{"not_before": "2026-12-01T00:00:00Z", "not_after": "2027-01-01T01:00:00+01:00"}"#,
                "since 2026-12-01T00:00:00+00:00 before 2027-01-01T00:00:00+00:00",
            ),
        ] {
            assert_eq!(window(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_can_never_hold_or_says_nothing_is_refused() {
        for text in [
            "{}",
            r#"{"days": []}"#,
            r#"{"from": "18:00", "until": "08:00"}"#,
            r#"{"from": "8:00"}"#,
            r#"{"from": "24:01"}"#,
            r#"{"until": "12:60"}"#,
            r#"{"from": "08:00", "utc_offset": "01:00"}"#,
            r#"{"not_before": "2026-12-01"}"#,
            r#"{"not_before": "2026-12-01T00:00:00Z", "not_after": "2026-12-01T00:00:00Z"}"#,
        ] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
